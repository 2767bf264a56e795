// Records of pax extended headers (POSIX.1-2017, pax Interchange Format), and GNU tar's
// descriptions of sparse files in them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace actool::cas {

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

struct PaxRecords {
  // Later records win. An empty value takes a record away, but for SCHILY.xattr.*, where
  // the attribute is empty.
  std::map<std::string, std::string, std::less<>> values;
  // GNU.sparse.offset and GNU.sparse.numbytes repeat in GNU's format 0.0, in this order.
  std::vector<SparsePiece> sparse00;

  const std::string* find(std::string_view key) const;
};

// Adds the records of one header. Throws Error saying what is wrong; `maxPieces` bounds
// sparse00.
void parsePaxRecords(std::string_view text, std::size_t maxPieces, PaxRecords& into);

// "1234567890.123456789", either sign; digits past the ninth are cut. Throws Error.
TarTime parsePaxTime(std::string_view text);

// GNU.sparse.map: "offset,length,offset,length". Throws Error.
std::vector<SparsePiece> parseSparseMap01(std::string_view text, std::size_t maxPieces);

}  // namespace actool::cas
