#include "cas/aci_input.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "cas/aci_file_source.h"
#include "cas/aci_path.h"
#include "core/base/error.h"

namespace actool::cas {

// libarchive as nothing but a decompressor: one filter and its "raw" format.
struct AciFile::Filter {
  archive* handle = archive_read_new();
  bool ended = false;

  Filter() = default;
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;
  ~Filter() { archive_read_free(handle); }

  [[noreturn]] void fail(const Path& path) const {
    const char* why = archive_error_string(handle);
    throw TrustError("decompressing " + path.string() + ": " + (why ? why : "failed"));
  }
};

Compression detectCompression(std::span<const std::byte> head) {
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  if (text.starts_with("\x1f\x8b")) return Compression::gzip;
  if (text.starts_with("BZh")) return Compression::bzip2;
  if (text.starts_with(std::string_view("\xfd"
                                        "7zXZ\0",
                                        6))) {
    return Compression::xz;
  }
  return Compression::none;
}

AciFile::AciFile(const Path& path) : path_(path), fd_(tryOpen(path.string(), O_RDONLY)) {
  if (!fd_) throw NotFoundError("there is no file " + path.string());
  std::array<std::byte, 6> head{};
  const std::size_t got = readFull(fd_.get(), head, path.string());
  compression_ = detectCompression(std::span(head).first(got));
  if (compression_ == Compression::none) {
    plain_ = std::make_unique<FileTarSource>(fd_.get(), path.string());
    return;
  }
  if (lseek(fd_.get(), 0, SEEK_SET) != 0) throwErrno("rewinding " + path.string());
  filter_ = std::make_unique<Filter>();
  archive* handle = filter_->handle;
  if (handle == nullptr) throw Error("libarchive has no memory");
  int (*support)(archive*) = archive_read_support_filter_gzip;
  if (compression_ == Compression::bzip2) support = archive_read_support_filter_bzip2;
  if (compression_ == Compression::xz) support = archive_read_support_filter_xz;
  archive_entry* entry = nullptr;
  // ARCHIVE_WARN of support() would mean an external program: those are not run.
  if (support(handle) != ARCHIVE_OK || archive_read_support_format_raw(handle) != ARCHIVE_OK ||
      archive_read_open_fd(handle, fd_.get(), 256 << 10) != ARCHIVE_OK) {
    filter_->fail(path_);
  }
  const int result = archive_read_next_header(handle, &entry);
  if (result == ARCHIVE_EOF) {
    filter_->ended = true;  // nothing was compressed
  } else if (result != ARCHIVE_OK) {
    filter_->fail(path_);
  }
}

AciFile::~AciFile() = default;

std::span<const std::byte> AciFile::next() {
  if (plain_) return plain_->next();
  const void* bytes = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  while (!filter_->ended) {
    const int result = archive_read_data_block(filter_->handle, &bytes, &size, &offset);
    if (result == ARCHIVE_EOF) {
      filter_->ended = true;
    } else if (result != ARCHIVE_OK) {
      filter_->fail(path_);
    } else if (size > 0) {
      return {static_cast<const std::byte*>(bytes), size};
    }
  }
  return {};
}

bool AciFile::skip(std::uint64_t count) {
  return plain_ && plain_->skip(count);
}

AciSummary checkAciFile(const Path& path, const AciLimits& limits) {
  AciFile file(path);
  return withContext(path.string(), [&] { return checkAci(file, limits); });
}

std::string readAciManifest(const Path& path, const AciLimits& limits) {
  AciFile file(path);
  return withContext(path.string(), [&] {
    TarReader reader(file, limits.tar);
    while (const auto entry = reader.next()) {
      std::string_view name = entry->path;
      if (name.starts_with("./")) name.remove_prefix(2);
      if (name != "manifest") continue;
      if (entry->type != TarType::regular || entry->sparse) {
        throw TrustError("the manifest is no plain regular file");
      }
      if (entry->size > limits.manifestBytes) {
        throw TrustError("a manifest of " + std::to_string(entry->size) + " bytes; " +
                         std::to_string(limits.manifestBytes) + " is the limit");
      }
      std::string bytes;
      for (auto piece = reader.data(); !piece.empty(); piece = reader.data()) {
        bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      }
      return bytes;
    }
    throw TrustError("the archive has no manifest");
  });
}

}  // namespace actool::cas
