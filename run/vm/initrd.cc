#include "run/vm/initrd.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "core/base/error.h"

namespace actool::run::vm {
namespace {

// A module or a program of ours is a few MB; unstripped builds are larger.
constexpr std::size_t kMaxFile = 512 << 20;

}  // namespace

Initrd::Initrd()
    : memory_(::memfd_create("actool-initrd", MFD_CLOEXEC)), writer_(::archive_write_new()) {
  if (!memory_) throwErrno("making the guest's initial root file system");
  if (writer_ == nullptr) throw Error("out of memory");
  check(::archive_write_set_format_cpio_newc(writer_));
  check(::archive_write_open_fd(writer_, memory_.get()));
}

Initrd::~Initrd() {
  ::archive_write_free(writer_);
}

void Initrd::check(int code) {
  if (code == ARCHIVE_OK) return;
  const char* why = ::archive_error_string(writer_);
  throw Error("making the guest's initial root file system: " +
              std::string(why != nullptr ? why : "failed"));
}

void Initrd::addEntry(const std::string& path, int type, int mode, std::size_t size) {
  const std::unique_ptr<archive_entry, decltype(&::archive_entry_free)> entry(
      ::archive_entry_new(), &::archive_entry_free);
  ::archive_entry_set_pathname(entry.get(), path.c_str());
  ::archive_entry_set_filetype(entry.get(), static_cast<unsigned>(type));
  ::archive_entry_set_perm(entry.get(), static_cast<mode_t>(mode));
  ::archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
  check(::archive_write_header(writer_, entry.get()));
}

void Initrd::addParents(const std::string& path) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const std::string line = "\n" + path.substr(0, slash) + "\n";
    if (parents_.find(line) != std::string::npos) continue;
    parents_ += line;
    addEntry(path.substr(0, slash), S_IFDIR, 0755, 0);
  }
}

void Initrd::addText(const std::string& path, std::string_view content, int mode) {
  addParents(path);
  addEntry(path, S_IFREG, mode, content.size());
  if (::archive_write_data(writer_, content.data(), content.size()) !=
      static_cast<la_ssize_t>(content.size())) {
    check(ARCHIVE_FATAL);
  }
}

void Initrd::addFile(const std::string& path, const Path& source, int mode) {
  addText(path, readFile(source, kMaxFile), mode);
}

UniqueFd Initrd::finish() {
  check(::archive_write_close(writer_));
  if (::lseek(memory_.get(), 0, SEEK_SET) != 0) throwErrno("rewinding the initial file system");
  return std::move(memory_);
}

}  // namespace actool::run::vm
