// The place below ingest/ where one image's bytes gather until it is committed. Its name
// says which bytes they are, so that an interrupted transfer is continued by the next one,
// and two of one image do not run at once.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cas/layout.h"
#include "core/base/digest.h"
#include "core/base/lock.h"

namespace actool::cas {

// The key of signed bytes: a signature fits one sequence of bytes only.
std::string slotKeyOf(const Digest& signatureSha256);
// Of bytes that nothing names: a key no other ingest has.
std::string uniqueSlotKey();
// Keys of the second kind, and directories that are being removed: nobody will ever
// continue what is in them.
bool isDisposableSlot(std::string_view name);

// Owns the directory by its lock. The directory stays when this goes, unless remove() was
// called; the lock goes in any case, also with the process.
class IngestSlot {
 public:
  // Waits while another process holds it, calling `waiting` some times a second with the bytes
  // that one has so far. Stops waiting with Interrupted (pipeline.h) when `interruptFd` is
  // readable.
  static IngestSlot acquire(const StoreLayout& layout, const std::string& key, int interruptFd,
                            const std::function<void(std::uint64_t)>& waiting);

  // The file as distributed, as far as it came.
  Path data() const { return dir_ / "data"; }
  // The same file while its pieces come in any order, with holes; never beside data().
  Path staged() const { return dir_ / "pieces"; }
  // Makes of data() or what is there the file staged(), with all that came.
  void beginStaged() const;
  // Makes of staged(), if that is there, the file data(): as far as notePrefix() said.
  void endStaged() const;
  // So many bytes at the beginning of staged() are known to be right.
  void notePrefix(std::uint64_t bytes) const;
  // The tar inflated from it; always made anew.
  Path tar() const { return dir_ / "tar"; }
  // Bytes of data() that are there.
  std::uint64_t dataSize() const;
  void dropTar() const;
  // Removes the directory with all in it.
  void remove() const;

 private:
  IngestSlot(Path dir, FileLock lock) : dir_(std::move(dir)), lock_(std::move(lock)) {}

  Path prefix() const { return dir_ / "prefix"; }

  Path dir_;
  FileLock lock_;
};

// Nothing when a process works in it.
std::optional<FileLock> tryLockSlot(const Path& dir);
// Removes one that the caller has locked, with all in it.
void removeSlot(const Path& dir);

}  // namespace actool::cas
