// Reads tar headers: v7, ustar, GNU (long names, sparse, base-256 numbers) and pax.
//
// Why not libarchive's reader: it converts pax names through the locale and normalises
// Unicode, so that names come out other than they went in; it has no bound on sparse maps;
// and it does not tell where an entry's bytes lie, which rendering copies them by. Here
// names are bytes, limits come first, and what is ambiguous is refused. libarchive stays
// the oracle in the tests.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cas/aci_source.h"

namespace actool::cas {

struct TarLimits {
  // PATH_MAX: a longer name could not be made by one call. Holds for link targets too.
  std::size_t path = 4095;
  // Extended headers (pax records, GNU long names) of one entry, added up: 64 kB is the
  // kernel's limit for one extended attribute, a handful of large ones fit.
  std::size_t extendedHeader = 1 << 20;
  // Pieces of one sparse file. Each costs 16 bytes of memory.
  std::size_t sparsePieces = 1 << 18;
};

enum class TarType { regular, hardLink, symlink, charDevice, blockDevice, directory, fifo };
std::string_view name(TarType type);  // "regular file", "symbolic link", ...

struct TarTime {
  std::int64_t seconds = 0;
  std::int32_t nanoseconds = 0;
  bool operator==(const TarTime&) const = default;
};

// A piece of a sparse file that is stored; holes lie between them.
struct SparsePiece {
  std::uint64_t offset = 0;  // in the file
  std::uint64_t length = 0;
  bool operator==(const SparsePiece&) const = default;
};

struct TarEntry {
  std::string path;  // as stored, bytes; a trailing '/' kept
  TarType type = TarType::regular;
  std::string linkTarget;  // hard and symbolic links
  std::uint32_t mode = 0;  // permission bits with setuid, setgid and sticky
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  TarTime mtime;
  std::uint32_t deviceMajor = 0;
  std::uint32_t deviceMinor = 0;
  std::uint64_t size = 0;        // of the file, holes included
  std::uint64_t dataOffset = 0;  // of the stored bytes in the tar
  std::uint64_t dataSize = 0;    // stored bytes
  bool sparse = false;
  std::vector<SparsePiece> pieces;  // when sparse: ascending; their bytes follow each other
  std::map<std::string, std::string> xattrs;  // by full name ("security.capability")
  std::string accessAcl;  // POSIX ACLs as text (SCHILY.acl.*), empty when there is none
  std::string defaultAcl;
};

class TarReader {
 public:
  // `source` has to outlive this object.
  explicit TarReader(AciSource& source, const TarLimits& limits = {});

  // The next entry; what is unread of the one before is passed over. Nothing after the
  // end-of-archive marker. Throws TrustError naming the entry and its offset.
  std::optional<TarEntry> next();

  // The stored bytes of the current entry, piece by piece; empty when they are over. The
  // span stays valid until the next call of anything here.
  std::span<const std::byte> data();

  // After next() has returned nothing: reads to the end of the source. Throws TrustError when
  // anything but zeros follows the marker. Returns the stream's length.
  std::uint64_t finish();

  std::uint64_t offset() const { return offset_; }

 private:
  struct Extended;
  bool refill();
  void readExact(std::span<std::byte> into);
  void pass(std::uint64_t count);
  std::string readExtended(std::uint64_t size, std::size_t& budget);
  std::optional<std::uint64_t> readSparseLine(std::uint64_t& left);
  void readOldSparse(const std::byte* header, TarEntry& entry);
  void readSparseMap10(TarEntry& entry);
  void checkPieces(TarEntry& entry) const;
  [[noreturn]] void fail(const std::string& why) const;

  AciSource& source_;
  TarLimits limits_;
  std::span<const std::byte> chunk_;
  std::uint64_t offset_ = 0;    // of chunk_'s first byte in the stream
  std::uint64_t headerAt_ = 0;  // of the header being read
  std::uint64_t dataLeft_ = 0;
  std::uint64_t padding_ = 0;
  bool ended_ = false;
  std::string current_;  // path of the current entry, for messages
  std::map<std::string, std::string> global_;
};

}  // namespace actool::cas
