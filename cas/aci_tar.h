// Reads tar archives: v7, ustar, GNU (long names, sparse files, base-256 numbers) and pax.
//
// Why not libarchive's reader: it converts pax names through the locale and normalises
// Unicode, so that names come out other than they went in; it has no bound on sparse maps;
// and it does not tell where an entry's bytes lie, which rendering copies them by. Here
// names are bytes, limits come first, and what readers disagree on is refused. libarchive
// is the oracle in the tests.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cas/aci_pax.h"
#include "cas/aci_source.h"

namespace actool::cas {

inline constexpr std::size_t kTarBlock = 512;  // everything in a tar starts at a multiple of it

struct TarLimits {
  // PATH_MAX: a longer name could not be made by one call. Holds for link targets too.
  std::size_t path = 4095;
  // Extended headers (pax records, GNU long names) of one entry, added up: 64 KiB is the
  // kernel's limit for one extended attribute, and a handful of large ones fit.
  std::size_t extendedHeader = 1 << 20;
  // Pieces of one sparse file: each costs 16 bytes of memory.
  std::size_t sparsePieces = 1 << 18;
};

enum class TarType { regular, hardLink, symlink, charDevice, blockDevice, directory, fifo };
std::string_view name(TarType type);  // "regular file", "symbolic link", ...
// As in st_mode: S_IFREG, S_IFDIR, ... A hard link is to a regular file here.
std::uint32_t kindBits(TarType type);

struct TarEntry {
  std::string path;  // as stored, bytes, no NUL, not empty; a trailing '/' is kept
  TarType type = TarType::regular;
  std::string linkTarget;  // hard and symbolic links: not empty, no NUL
  std::uint32_t mode = 0;  // permission bits with setuid, setgid and sticky
  std::uint32_t uid = 0;   // never 0xffffffff, which chown(2) takes for "leave it"
  std::uint32_t gid = 0;
  TarTime mtime;
  std::uint32_t deviceMajor = 0;
  std::uint32_t deviceMinor = 0;
  std::uint64_t size = 0;          // of the file, holes included; 0 unless regular
  std::uint64_t headerOffset = 0;  // of its first header block in the tar, extended ones included
  std::uint64_t dataOffset = 0;    // of the stored bytes in the tar
  std::uint64_t dataSize = 0;      // stored bytes
  bool sparse = false;
  std::vector<SparsePiece> pieces;            // when sparse: ascending, apart, none empty, within
                                              // size; their bytes follow each other in the tar
  std::map<std::string, std::string> xattrs;  // by full name ("security.capability")
  std::string accessAcl;                      // POSIX ACLs as text (SCHILY.acl.access),
  std::string defaultAcl;                     // empty when there is none
};

class TarReader {
 public:
  // `source` has to outlive this object.
  explicit TarReader(AciSource& source, const TarLimits& limits = {});

  // The next entry; what is unread of the one before is passed over. Nothing after the
  // end-of-archive marker. Throws TrustError naming the entry, or the offset of a header
  // without a name.
  std::optional<TarEntry> next();

  // The stored bytes of the current entry, piece by piece; empty when they are over. The
  // span stays valid until the next call of anything here.
  std::span<const std::byte> data();

  // After next() has returned nothing: reads to the end of the source. Throws TrustError when
  // anything but zeros follows the marker. Returns the stream's length.
  std::uint64_t finish();

 private:
  bool refill();
  void readExact(std::span<std::byte> into);
  void pass(std::uint64_t count);
  std::string readBody(std::uint64_t size, std::uint64_t padding);
  void readSparseBlocks(std::span<const std::byte> header, TarEntry& entry);
  void readSparseMap10(TarEntry& entry);
  std::uint64_t readSparseLine(std::uint64_t& left);
  TarEntry makeEntry(std::span<const std::byte> header, const PaxRecords& pax);
  void applySparse(const PaxRecords& pax, TarEntry& entry);
  void settlePieces(TarEntry& entry);
  [[noreturn]] void fail(const std::string& why) const;

  AciSource& source_;
  TarLimits limits_;
  std::span<const std::byte> chunk_;
  std::uint64_t offset_ = 0;    // of chunk_'s first byte in the stream
  std::uint64_t headerAt_ = 0;  // of the header being read
  std::uint64_t entryAt_ = 0;   // of the entry's first header
  std::uint64_t dataLeft_ = 0;  // of the current entry, not yet given out
  std::uint64_t padding_ = 0;   // after it
  bool ended_ = false;
  std::string current_;  // path of the current entry, for messages
  std::optional<std::string> longName_;
  std::optional<std::string> longLink_;
  PaxRecords global_;
};

}  // namespace actool::cas
