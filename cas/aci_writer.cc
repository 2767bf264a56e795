#include "cas/aci_writer.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "cas/aci_path.h"
#include "core/base/error.h"

namespace actool::cas {

namespace {

// The largest numbers that octal digits of a field can say.
constexpr std::uint64_t kMaxUstarSize = 077777777777;
constexpr std::uint32_t kMaxId = 07777777;

using Records = std::vector<std::pair<std::string, std::string>>;

// "LENGTH KEY=VALUE\n", where LENGTH counts its own digits too.
std::string record(const std::string& key, const std::string& value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) {
    length = rest + std::to_string(length).size();
  }
  return std::to_string(length) + " " + key + "=" + value + "\n";
}

struct HeaderFields {
  std::string name;
  std::string prefix;
  char type;
  std::uint32_t mode = 0644;
  std::uint64_t uid = 0;
  std::uint64_t gid = 0;
  std::uint64_t size = 0;
  std::uint64_t mtime = 0;
  std::string link = {};
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  bool device = false;
};

std::string header(const HeaderFields& fields) {
  std::string block(kTarBlock, '\0');
  const auto set = [&](std::size_t at, std::string_view text) {
    std::memcpy(block.data() + at, text.data(), text.size());
  };
  set(0, fields.name);
  set(100, fmt::format("{:07o}", fields.mode));
  set(108, fmt::format("{:07o}", fields.uid));
  set(116, fmt::format("{:07o}", fields.gid));
  set(124, fmt::format("{:011o}", fields.size));
  set(136, fmt::format("{:011o}", fields.mtime));
  set(148, "        ");
  block[156] = fields.type;
  set(157, fields.link);
  set(257, std::string_view("ustar\00000", 8));
  if (fields.device) {
    set(329, fmt::format("{:07o}", fields.major));
    set(337, fmt::format("{:07o}", fields.minor));
  }
  set(345, fields.prefix);
  unsigned sum = 0;
  for (char byte : block)
    sum += static_cast<unsigned char>(byte);
  set(148, std::string_view(fmt::format("{:06o}", sum)));
  block[154] = '\0';
  return block;
}

char typeFlag(TarType type) {
  switch (type) {
    case TarType::regular:
      return '0';
    case TarType::hardLink:
      return '1';
    case TarType::symlink:
      return '2';
    case TarType::charDevice:
      return '3';
    case TarType::blockDevice:
      return '4';
    case TarType::directory:
      return '5';
    case TarType::fifo:
      return '6';
  }
  throw Error("a type of entry that tar does not have");
}

// Puts `path` into the name field, or cuts it at a '/' into prefix and name. False when neither
// is possible.
bool splitName(const std::string& path, HeaderFields& fields) {
  if (path.size() <= 100) {
    fields.name = path;
    return true;
  }
  if (path.size() > 256) return false;
  const std::size_t slash = path.find('/', path.size() - 101);
  if (slash == path.npos || slash > 155 || slash == 0 || slash + 1 == path.size()) return false;
  fields.prefix = path.substr(0, slash);
  fields.name = path.substr(slash + 1);
  return true;
}

std::string timeText(const TarTime& time) {
  if (time.seconds >= 0) {
    return time.nanoseconds == 0 ? std::to_string(time.seconds)
                                 : fmt::format("{}.{:09}", time.seconds, time.nanoseconds);
  }
  if (time.nanoseconds == 0) return std::to_string(time.seconds);
  return fmt::format("-{}.{:09}", -(time.seconds + 1), 1'000'000'000 - time.nanoseconds);
}

}  // namespace

void TarWriter::put(std::string_view text) {
  sink_.write(std::as_bytes(std::span(text)));
}

void TarWriter::pad(std::uint64_t size) {
  static constexpr std::array<std::byte, kTarBlock> kZeros{};
  const std::uint64_t fill = (kTarBlock - size % kTarBlock) % kTarBlock;
  if (fill > 0) sink_.write(std::span(kZeros).first(static_cast<std::size_t>(fill)));
}

void TarWriter::begin(const TarEntry& entry) {
  Records records;
  std::string path = entry.path;
  if (entry.type == TarType::directory) path += '/';
  std::string map;
  HeaderFields fields{.name = {}, .prefix = {}, .type = typeFlag(entry.type)};

  if (entry.sparse) {
    // GNU's format 1.0: the map stands in front of the data.
    records.emplace_back("GNU.sparse.major", "1");
    records.emplace_back("GNU.sparse.minor", "0");
    records.emplace_back("GNU.sparse.name", path);
    records.emplace_back("GNU.sparse.realsize", std::to_string(entry.size));
    std::vector<SparsePiece> pieces = entry.pieces;
    // GNU tar takes the end of the last piece for the end of the file.
    if (pieces.empty() || pieces.back().offset + pieces.back().length < entry.size) {
      pieces.push_back({entry.size, 0});
    }
    map = std::to_string(pieces.size()) + "\n";
    for (const SparsePiece& piece : pieces) {
      map += fmt::format("{}\n{}\n", piece.offset, piece.length);
    }
    map.resize((map.size() + kTarBlock - 1) / kTarBlock * kTarBlock, '\0');
    // What tars that don't know the format unpack it as; cut, as it names nothing.
    fields.name = ("GNUSparseFile.0/" + std::string(baseOf(path))).substr(0, 100);
  } else if (!splitName(path, fields)) {
    records.emplace_back("path", path);
    fields.name = path.substr(0, 100);
  }
  fields.mode = entry.mode;
  fields.size = entry.type == TarType::regular ? entry.dataSize + map.size() : 0;
  if (fields.size > kMaxUstarSize) {
    records.emplace_back("size", std::to_string(fields.size));
    fields.size = 0;
  }
  if (entry.uid > kMaxId) records.emplace_back("uid", std::to_string(entry.uid));
  if (entry.gid > kMaxId) records.emplace_back("gid", std::to_string(entry.gid));
  fields.uid = entry.uid > kMaxId ? 0 : entry.uid;
  fields.gid = entry.gid > kMaxId ? 0 : entry.gid;
  const bool plainTime = entry.mtime.seconds >= 0 && entry.mtime.nanoseconds == 0 &&
                         static_cast<std::uint64_t>(entry.mtime.seconds) <= kMaxUstarSize;
  if (!plainTime) records.emplace_back("mtime", timeText(entry.mtime));
  fields.mtime = plainTime ? static_cast<std::uint64_t>(entry.mtime.seconds) : 0;
  if (entry.linkTarget.size() > 100) records.emplace_back("linkpath", entry.linkTarget);
  fields.link = entry.linkTarget.substr(0, 100);
  fields.device = entry.type == TarType::charDevice || entry.type == TarType::blockDevice;
  fields.major = entry.deviceMajor;
  fields.minor = entry.deviceMinor;
  for (const auto& [name, value] : entry.xattrs) {
    if (name.find('=') != name.npos) {
      throw Error("the extended attribute " + inQuotes(name) + " has a '=' in its name");
    }
    records.emplace_back("SCHILY.xattr." + name, value);
  }
  if (!entry.accessAcl.empty()) records.emplace_back("SCHILY.acl.access", entry.accessAcl);
  if (!entry.defaultAcl.empty()) records.emplace_back("SCHILY.acl.default", entry.defaultAcl);

  if (!records.empty()) {
    std::string body;
    for (const auto& [key, value] : records)
      body += record(key, value);
    HeaderFields pax{.name = ("PaxHeaders/" + std::string(baseOf(entry.path))).substr(0, 100),
                     .prefix = {},
                     .type = 'x'};
    pax.size = body.size();
    put(header(pax));
    put(body);
    pad(body.size());
  }
  put(header(fields));
  put(map);
  dataSize_ = dataLeft_ = entry.type == TarType::regular ? entry.dataSize : 0;
}

void TarWriter::data(std::span<const std::byte> bytes) {
  if (bytes.size() > dataLeft_) throw Error("the file grew while it was read");
  dataLeft_ -= bytes.size();
  sink_.write(bytes);
}

void TarWriter::end() {
  if (dataLeft_ != 0) throw Error("the file shrank while it was read");
  pad(dataSize_);
}

void TarWriter::finish() {
  put(std::string(2 * kTarBlock, '\0'));
}

}  // namespace actool::cas
