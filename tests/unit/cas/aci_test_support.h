// Tars for the tests: well-formed ones by TarWriter, others header by header.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "cas/aci_source.h"
#include "cas/aci_writer.h"
#include "core/base/error.h"

namespace actool::cas {

// Gives a string out in pieces of `step` bytes, so that nothing may count on whole blocks.
class StringSource : public AciSource {
 public:
  explicit StringSource(std::string text, std::size_t step = 1000)
      : text_(std::move(text)), step_(step) {}

  std::span<const std::byte> next() override {
    const std::size_t count = std::min(step_, text_.size() - at_);
    const auto piece = std::as_bytes(std::span(text_)).subspan(at_, count);
    at_ += count;
    return piece;
  }

 private:
  std::string text_;
  std::size_t step_;
  std::size_t at_ = 0;
};

class StringSink : public ByteSink {
 public:
  void write(std::span<const std::byte> bytes) override {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  std::string text;
};

// One header block and what belongs to it, as raw as it gets.
struct RawEntry {
  std::string name;
  char type = '0';
  std::string content = {};
  std::string link = {};
  std::string magic = std::string("ustar\00000", 8);
  std::vector<std::pair<std::size_t, std::string>> fields = {};  // written over the rest

  std::string str() const {
    std::string block(512, '\0');
    const auto set = [&](std::size_t at, const std::string& text) {
      std::memcpy(block.data() + at, text.data(), std::min(text.size(), block.size() - at));
    };
    const auto octal = [](std::uint64_t value, int digits) {
      char text[32];
      std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
      return std::string(text);
    };
    set(0, name);
    set(100, type == '5' ? "0000755" : "0000644");
    set(108, "0000000");
    set(116, "0000000");
    set(124, octal(content.size(), 11));
    set(136, octal(1'000'000'000, 11));
    block[156] = type;
    set(157, link);
    set(257, magic);
    for (const auto& [at, text] : fields)
      set(at, text);
    set(148, "        ");
    std::uint64_t sum = 0;
    for (char byte : block)
      sum += static_cast<unsigned char>(byte);
    set(148, octal(sum, 6));
    block[154] = '\0';
    return block + content + std::string((512 - content.size() % 512) % 512, '\0');
  }
};

inline const std::string kTarEnd(1024, '\0');

inline std::string paxRecord(const std::string& key, const std::string& value) {
  std::size_t length = key.size() + value.size() + 4;
  while (std::to_string(length).size() + key.size() + value.size() + 3 != length)
    ++length;
  return std::to_string(length) + " " + key + "=" + value + "\n";
}

inline std::string pax(const std::string& records) {
  return RawEntry{.name = "PaxHeaders/x", .type = 'x', .content = records}.str();
}

inline std::string dir(const std::string& name) {
  return RawEntry{.name = name, .type = '5'}.str();
}
inline std::string file(const std::string& name, const std::string& content = "x") {
  return RawEntry{.name = name, .content = content}.str();
}
inline std::string symlink(const std::string& name, const std::string& target) {
  return RawEntry{.name = name, .type = '2', .link = target}.str();
}
inline std::string hardlink(const std::string& name, const std::string& target) {
  return RawEntry{.name = name, .type = '1', .link = target}.str();
}

inline const std::string kManifest =
    R"({"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/web"})";

// An image's tar with these entries behind the manifest and the rootfs.
inline std::string image(const std::string& entries) {
  return file("manifest", kManifest) + dir("rootfs") + entries + kTarEnd;
}

// The message of what `fn` throws; "" when it throws nothing of ours.
template <typename Fn>
std::string errorOf(Fn&& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace actool::cas
