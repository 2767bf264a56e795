#include "cas/aci_output.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "core/base/error.h"

namespace actool::cas {

// libarchive as nothing but a compressor. zlib's output depends on its input alone, where
// ISA-L's depends on the processor as well: an ACI has to be the same wherever it is built.
struct AciOutput::Gzip {
  archive* handle = archive_write_new();

  Gzip(int fd, const Path& path) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_pathname(entry, "image");
    // A header without time and name, and no padding of the last block.
    const bool ready = handle != nullptr && archive_write_add_filter_gzip(handle) == ARCHIVE_OK &&
                       archive_write_set_format_raw(handle) == ARCHIVE_OK &&
                       archive_write_set_options(handle, "gzip:!timestamp") == ARCHIVE_OK &&
                       archive_write_set_bytes_in_last_block(handle, 1) == ARCHIVE_OK &&
                       archive_write_open_fd(handle, fd) == ARCHIVE_OK &&
                       archive_write_header(handle, entry) == ARCHIVE_OK;
    archive_entry_free(entry);
    if (!ready) fail(path);
  }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;
  ~Gzip() { archive_write_free(handle); }

  [[noreturn]] void fail(const Path& path) const {
    const char* why = handle != nullptr ? archive_error_string(handle) : nullptr;
    throw Error("compressing " + path.string() + ": " + (why != nullptr ? why : "failed"));
  }
};

namespace {
constexpr std::size_t kPending = 256 << 10;
}

AciOutput::AciOutput(Path path, const OutputOptions& options)
    : path_(std::move(path)), options_(options) {
  if (!options_.overwrite && actool::exists(path_)) {
    throw UsageError("the file " + path_.string() + " exists", "use --overwrite to replace it");
  }
  const Path dir = path_.has_parent_path() ? path_.parent_path() : Path(".");
  std::string name = (dir / (".actool-tmp." + path_.filename().string() + "-XXXXXX")).string();
  fd_.reset(mkostemp(name.data(), O_CLOEXEC));
  if (!fd_) throwErrno("making a temporary file in " + dir.string());
  temporary_ = name;
  const mode_t mask = umask(0);
  umask(mask);
  if (fchmod(fd_.get(), 0644 & ~mask) != 0) throwErrno("setting the mode of " + name);
  if (options_.compress) gzip_ = std::make_unique<Gzip>(fd_.get(), path_);
}

AciOutput::~AciOutput() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AciOutput::write(std::span<const std::byte> bytes) {
  if (gzip_) {
    const auto written = archive_write_data(gzip_->handle, bytes.data(), bytes.size());
    if (written < 0 || static_cast<std::size_t>(written) != bytes.size()) gzip_->fail(path_);
    return;
  }
  if (pending_.size() + bytes.size() <= kPending) {
    pending_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return;
  }
  writeAll(fd_.get(), pending_, path_.string());
  pending_.clear();
  writeAll(fd_.get(), bytes, path_.string());
}

void AciOutput::close() {
  if (gzip_) {
    if (archive_write_close(gzip_->handle) != ARCHIVE_OK) gzip_->fail(path_);
    gzip_.reset();
  }
  writeAll(fd_.get(), pending_, path_.string());
  pending_.clear();
  if (fsync(fd_.get()) != 0) throwErrno("writing " + path_.string());
  fd_.reset();
}

void AciOutput::commit() {
  if (options_.overwrite) {
    if (rename(temporary_.c_str(), path_.c_str()) != 0) throwErrno("making " + path_.string());
  } else if (!renameNoReplace(temporary_, path_)) {
    throw UsageError("the file " + path_.string() + " exists", "use --overwrite to replace it");
  }
  temporary_.clear();
}

}  // namespace actool::cas
