// EROFS images of tars, and a reader of them for the tests: it believes everything.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "cas/erofs/check.h"
#include "cas/erofs/format.h"
#include "cas/erofs/write.h"
#include "core/base/fs.h"
#include "tests/unit/cas/aci_test_support.h"

namespace actool::cas {

inline std::vector<std::byte> bytesOf(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// The metadata image of tars as layers, each its own device, and the tars.
struct BuiltErofs {
  std::string image;
  std::vector<std::string> tars;
  RenderReport report;

  std::vector<std::uint64_t> sizes() const {
    std::vector<std::uint64_t> sizes;
    for (const auto& tar : tars)
      sizes.push_back(tar.size());
    return sizes;
  }
  void check() const { checkErofs(std::as_bytes(std::span(image)), sizes()); }
};

inline BuiltErofs buildErofs(const std::vector<std::string>& tars, const ErofsLimits& limits = {}) {
  const TempDir temp(tempRoot());
  const auto id = schema::ImageId::parse("sha512-" + std::string(128, 'a'));
  BuiltErofs built{.image = {}, .tars = tars, .report = {}};
  RenderTree tree;
  std::vector<UniqueFd> owners;
  std::vector<ErofsDevice> devices;
  std::vector<std::size_t> deviceOfLayer;
  for (const auto& tar : tars) {
    const Path file = temp.path() / std::to_string(owners.size());
    writeFilePlain(file, tar);
    owners.push_back(openFile(file.string(), O_RDONLY));
    tree.addLayer(owners.back().get(), RenderLayer{id, file, {}});
    deviceOfLayer.push_back(devices.size());
    devices.push_back({"layer" + std::to_string(devices.size()), tar.size(), owners.back().get()});
  }
  tree.prune();
  const Path out = temp.path() / "erofs";
  const UniqueFd fd = openFile(out.string(), O_RDWR | O_CREAT | O_EXCL);
  built.report = writeErofs(tree, devices, deviceOfLayer, fd.get(), limits);
  built.image = readFile(out, 1 << 30);
  return built;
}

class ErofsReader {
 public:
  struct File {
    std::uint64_t number = 0;
    erofs::Inode inode;
    std::map<std::string, std::string> xattrs;  // "1:name": by prefix
  };

  explicit ErofsReader(const BuiltErofs& built) : built_(built), all_(built.image) {
    // As if all devices lay behind the image.
    for (const auto& tar : built.tars) {
      all_ += tar;
      all_.resize(erofs::roundUp(all_.size(), erofs::kBlock));
    }
    const auto super = get<erofs::SuperBlock>(erofs::kSuperOffset);
    walk("", super.rootInode);
  }

  const std::map<std::string, File>& files() const { return files_; }
  const File& at(const std::string& path) const { return files_.at(path); }
  bool has(const std::string& path) const { return files_.contains(path); }

  // The data of a small file, link or directory.
  std::string content(const std::string& path) const { return content(files_.at(path)); }
  std::vector<std::uint32_t> chunks(const std::string& path) const {
    const File& file = files_.at(path);
    const std::uint64_t size = erofs::kBlock << file.inode.data;
    std::vector<std::uint32_t> blocks;
    for (std::uint64_t i = 0; i * size < file.inode.size; ++i)
      blocks.push_back(get<erofs::U32>(behind(file) + i * 4));
    return blocks;
  }

 private:
  template <typename T>
  T get(std::uint64_t offset) const {
    T value;
    std::memcpy(static_cast<void*>(&value), all_.data() + offset, sizeof value);
    return value;
  }

  static std::uint64_t behind(const File& file) {
    return file.number * erofs::kInodeSlot + sizeof(erofs::Inode) +
           erofs::xattrBytes(file.inode.xattrCount);
  }

  std::string content(const File& file) const {
    const std::uint64_t size = file.inode.size;
    const auto layout = static_cast<erofs::DataLayout>(file.inode.format >> 1);
    if (layout == erofs::DataLayout::flat) return all_.substr(file.inode.data * 512ULL, size);
    if (layout == erofs::DataLayout::inlined) {
      return all_.substr(file.inode.data * 512ULL, size / 512 * 512) +
             all_.substr(behind(file), size % 512);
    }
    std::string text;
    const std::uint64_t chunk = erofs::kBlock << file.inode.data;
    for (std::uint64_t i = 0; text.size() < size; ++i) {
      const std::uint32_t block = get<erofs::U32>(behind(file) + i * 4);
      const std::uint64_t length = std::min(chunk, size - text.size());
      text += block == erofs::kNoBlock ? std::string(length, '\0')
                                       : all_.substr(block * 512ULL, length);
    }
    return text;
  }

  void walk(const std::string& path, std::uint64_t number) {
    File file{number, get<erofs::Inode>(number * erofs::kInodeSlot), {}};
    readXattrs(file);
    files_[path] = file;
    if (!S_ISDIR(file.inode.mode)) return;
    const std::string data = content(file);
    for (std::size_t base = 0; base < data.size(); base += 512) {
      const std::string block = data.substr(base, 512);
      const auto dirent = [&](std::size_t i) {
        erofs::Dirent value;
        std::memcpy(static_cast<void*>(&value), block.data() + i * sizeof value, sizeof value);
        return value;
      };
      const std::size_t count = dirent(0).nameOffset / sizeof(erofs::Dirent);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t start = dirent(i).nameOffset;
        const std::size_t end =
            i + 1 < count ? std::size_t{dirent(i + 1).nameOffset} : block.size();
        std::string name = block.substr(start, end - start);
        name = name.substr(0, name.find('\0'));
        if (name == "." || name == "..") continue;
        walk(path.empty() ? name : path + "/" + name, dirent(i).inode);
      }
    }
  }

  void readXattrs(File& file) const {
    std::uint64_t at = file.number * erofs::kInodeSlot + sizeof(erofs::Inode);
    const std::uint64_t end = behind(file);
    if (at == end) return;
    at += sizeof(erofs::XattrHeader);
    while (at < end) {
      const auto entry = get<erofs::XattrEntry>(at);
      at += sizeof entry;
      const std::string name = all_.substr(at, entry.nameLength);
      file.xattrs[std::to_string(entry.prefix) + ":" + name] =
          all_.substr(at + entry.nameLength, entry.valueSize);
      at += erofs::roundUp(std::uint64_t{entry.nameLength} + entry.valueSize, 4);
    }
  }

  const BuiltErofs& built_;
  std::string all_;
  std::map<std::string, File> files_;
};

}  // namespace actool::cas
