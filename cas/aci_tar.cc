#include "cas/aci_tar.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "cas/aci_path.h"
#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

// No file system holds larger files; sums of two of these can't overflow.
constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 62;

// Where fields lie in a header block, and how long they are.
struct Field {
  std::size_t at;
  std::size_t length;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12},
    kMtime{136, 12}, kChecksum{148, 8}, kLink{157, 100}, kMagic{257, 8}, kMajor{329, 8},
    kMinor{337, 8}, kPrefix{345, 155}, kStarPrefix{345, 131}, kStarMagic{508, 4},
    kGnuRealSize{483, 12};
constexpr std::size_t kTypeAt = 156;
constexpr std::size_t kGnuSparseAt = 386, kGnuSparseCount = 4, kGnuExtendedAt = 482;
constexpr std::size_t kBlockSparseCount = 21, kBlockExtendedAt = 504;

std::string_view raw(std::span<const std::byte> block, Field field) {
  return {reinterpret_cast<const char*>(block.data()) + field.at, field.length};
}

std::string_view text(std::span<const std::byte> block, Field field) {
  const std::string_view all = raw(block, field);
  return all.substr(0, std::min(all.find('\0'), all.size()));
}

// Octal digits between blanks and NULs, or GNU's base-256: the first byte has its high bit
// set, and the rest is a big-endian number, negative when the byte is 0xff.
std::optional<std::int64_t> number(std::span<const std::byte> block, Field field) {
  const std::string_view all = raw(block, field);
  const auto first = static_cast<unsigned char>(all[0]);
  if ((first & 0x80U) != 0) {
    const bool negative = first == 0xff;
    if (!negative && first != 0x80) return std::nullopt;
    std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
    for (char byte : all.substr(1)) {
      const std::uint64_t top = value >> 55;
      if (top != 0 && top != 0x1ff) return std::nullopt;
      value = (value << 8) | static_cast<unsigned char>(byte);
    }
    const auto result = static_cast<std::int64_t>(value);
    if ((result < 0) != negative) return std::nullopt;
    return result;
  }
  std::size_t at = 0;
  while (at < all.size() && all[at] == ' ')
    ++at;
  std::int64_t value = 0;  // 12 octal digits at most: no overflow
  for (; at < all.size() && all[at] >= '0' && all[at] <= '7'; ++at) {
    value = value * 8 + (all[at] - '0');
  }
  for (; at < all.size(); ++at) {
    if (all[at] != ' ' && all[at] != '\0') return std::nullopt;
  }
  return value;
}

bool allZero(std::span<const std::byte> bytes) {
  if (bytes.empty()) return true;
  // Compares the bytes with themselves, one on: all are equal to the first.
  return bytes[0] == std::byte{0} &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

bool checksumMatches(std::span<const std::byte> block) {
  const auto stored = number(block, kChecksum);
  std::int64_t plain = 0;
  std::int64_t withSign = 0;  // as tars of old, made where char was signed, have it
  for (std::size_t i = 0; i < kTarBlock; ++i) {
    const bool own = i >= kChecksum.at && i < kChecksum.at + kChecksum.length;
    const auto byte =
        own ? static_cast<unsigned char>(' ') : std::to_integer<unsigned char>(block[i]);
    plain += byte;
    withSign += static_cast<signed char>(byte);
  }
  return stored && (*stored == plain || *stored == withSign);
}

std::uint64_t paddingOf(std::uint64_t size) {
  return (kTarBlock - size % kTarBlock) % kTarBlock;
}

bool isGlobalPoison(std::string_view key) {
  return key == "path" || key == "linkpath" || key == "size" || key.starts_with("GNU.sparse.");
}

}  // namespace

std::string_view name(TarType type) {
  switch (type) {
    case TarType::regular:
      return "regular file";
    case TarType::hardLink:
      return "hard link";
    case TarType::symlink:
      return "symbolic link";
    case TarType::charDevice:
      return "character device";
    case TarType::blockDevice:
      return "block device";
    case TarType::directory:
      return "directory";
    case TarType::fifo:
      return "FIFO";
  }
  return "entry";
}

std::uint32_t kindBits(TarType type) {
  switch (type) {
    case TarType::directory:
      return S_IFDIR;
    case TarType::symlink:
      return S_IFLNK;
    case TarType::charDevice:
      return S_IFCHR;
    case TarType::blockDevice:
      return S_IFBLK;
    case TarType::fifo:
      return S_IFIFO;
    case TarType::regular:
    case TarType::hardLink:
      break;
  }
  return S_IFREG;
}

TarReader::TarReader(AciSource& source, const TarLimits& limits)
    : source_(source), limits_(limits) {}

void TarReader::fail(const std::string& why) const {
  if (!current_.empty()) throw TrustError("entry " + inQuotes(current_) + ": " + why);
  throw TrustError("tar header at byte " + std::to_string(headerAt_) + ": " + why);
}

bool TarReader::refill() {
  if (chunk_.empty()) chunk_ = source_.next();
  return !chunk_.empty();
}

void TarReader::readExact(std::span<std::byte> into) {
  while (!into.empty()) {
    if (!refill()) fail("the archive is truncated");
    const std::size_t count = std::min(into.size(), chunk_.size());
    std::memcpy(into.data(), chunk_.data(), count);
    into = into.subspan(count);
    chunk_ = chunk_.subspan(count);
    offset_ += count;
  }
}

void TarReader::pass(std::uint64_t count) {
  while (count > 0) {
    if (chunk_.empty() && source_.skip(count)) {
      offset_ += count;
      return;
    }
    if (!refill()) fail("the archive is truncated");
    const std::size_t step =
        static_cast<std::size_t>(std::min<std::uint64_t>(count, chunk_.size()));
    chunk_ = chunk_.subspan(step);
    offset_ += step;
    count -= step;
  }
}

std::string TarReader::readBody(std::uint64_t size, std::uint64_t padding) {
  std::string body(static_cast<std::size_t>(size), '\0');
  readExact(std::as_writable_bytes(std::span(body)));
  pass(padding);
  return body;
}

std::optional<TarEntry> TarReader::next() {
  if (ended_) return std::nullopt;
  pass(dataLeft_);
  dataLeft_ = 0;
  pass(padding_);
  padding_ = 0;
  current_.clear();
  longName_.reset();
  longLink_.reset();

  PaxRecords pax;
  bool extended = false;
  entryAt_ = offset_;
  std::size_t budget = limits_.extendedHeader;
  std::array<std::byte, kTarBlock> block{};
  while (true) {
    headerAt_ = offset_;
    if (!refill()) fail("the archive is truncated: it has no end-of-archive marker");
    readExact(block);
    if (allZero(block)) {
      if (extended) fail("an extended header without an entry after it");
      ended_ = true;
      return std::nullopt;
    }
    if (!checksumMatches(block)) fail("this is no tar header (the checksum does not match)");

    const char type = static_cast<char>(block[kTypeAt]);
    if (type != 'x' && type != 'g' && type != 'L' && type != 'K') break;
    const auto size = number(block, kSize);
    if (!size || *size < 0) fail("the size of an extended header is no number");
    const auto bytes = static_cast<std::uint64_t>(*size);
    // The header block counts too, so that no number of empty ones is free.
    if (bytes > budget || budget - bytes < kTarBlock) {
      fail("extended headers of more than " + std::to_string(limits_.extendedHeader) + " bytes");
    }
    budget -= static_cast<std::size_t>(bytes) + kTarBlock;
    std::string body = readBody(bytes, paddingOf(bytes));
    if (type == 'L' || type == 'K') {
      auto& into = type == 'L' ? longName_ : longLink_;
      if (into) fail("two GNU long names for one entry");
      into = body.substr(0, body.find('\0'));
    } else {
      try {
        parsePaxRecords(body, limits_.sparsePieces, type == 'x' ? pax : global_);
      } catch (const Error& error) {
        fail(error.what());
      }
    }
    if (type == 'g') {
      if (!extended) entryAt_ = offset_;
      for (const auto& [key, value] : global_.values) {
        if (isGlobalPoison(key)) fail("a global pax header that sets " + inQuotes(key));
      }
      if (!global_.sparse00.empty()) fail("a global pax header that sets \"GNU.sparse.offset\"");
    } else {
      extended = true;
    }
  }
  return makeEntry(block, pax);
}

TarEntry TarReader::makeEntry(std::span<const std::byte> block, const PaxRecords& pax) {
  TarEntry entry;
  entry.headerOffset = entryAt_;
  const auto record = [&](std::string_view key) {
    const std::string* own = pax.find(key);
    return own != nullptr ? own : global_.find(key);
  };

  // The name comes first: it is what every later message calls the entry by.
  const std::string_view magic = raw(block, kMagic);
  const bool posix = magic.starts_with(std::string_view("ustar\0", 6));
  const bool star = posix && raw(block, kStarMagic) == std::string_view("tar\0", 4);
  entry.path = text(block, kName);
  if (posix) {
    const std::string_view prefix = text(block, star ? kStarPrefix : kPrefix);
    if (!prefix.empty()) entry.path = std::string(prefix) + "/" + entry.path;
  }
  const std::string* sparseName = pax.find("GNU.sparse.name");
  const std::string* paxName = sparseName != nullptr ? sparseName : pax.find("path");
  if (longName_ && paxName != nullptr) fail("both a pax and a GNU long name");
  if (longName_) entry.path = *longName_;
  if (paxName != nullptr) entry.path = *paxName;
  if (entry.path.empty()) fail("an entry without a name");
  if (entry.path.size() > limits_.path) {
    fail("a name of " + std::to_string(entry.path.size()) + " bytes; " +
         std::to_string(limits_.path) + " is the limit");
  }
  current_ = entry.path;
  if (entry.path.find('\0') != std::string::npos) fail("the name has a NUL in it");

  const auto field = [&](Field where, std::string_view key, std::string_view what,
                         std::uint64_t max) -> std::uint64_t {
    std::optional<std::uint64_t> value;
    if (const std::string* given = record(key)) {
      value = parseUint(*given);
    } else if (auto stored = number(block, where); stored && *stored >= 0) {
      value = static_cast<std::uint64_t>(*stored);
    }
    if (!value) fail("its " + std::string(what) + " is no number");
    if (*value > max)
      fail("its " + std::string(what) + " " + std::to_string(*value) + " is too large");
    return *value;
  };

  const char type = static_cast<char>(block[kTypeAt]);
  switch (type) {
    case '0':
    case '7':
    case 'S':
      entry.type = TarType::regular;
      break;
    case '\0':
      // Before directories had a type of their own they had a '/' at the end.
      entry.type = entry.path.ends_with('/') ? TarType::directory : TarType::regular;
      break;
    case '1':
      entry.type = TarType::hardLink;
      break;
    case '2':
      entry.type = TarType::symlink;
      break;
    case '3':
      entry.type = TarType::charDevice;
      break;
    case '4':
      entry.type = TarType::blockDevice;
      break;
    case '5':
      entry.type = TarType::directory;
      break;
    case '6':
      entry.type = TarType::fifo;
      break;
    default:
      fail("entries of type " + inQuotes(std::string_view(&type, 1)) +
           " have no place in an image");
  }
  if (entry.type != TarType::directory && entry.path.ends_with('/')) {
    fail("a " + std::string(name(entry.type)) + " whose name ends in '/'");
  }

  const auto mode = number(block, kMode);
  if (!mode || *mode < 0) fail("its mode is no number");
  entry.mode = static_cast<std::uint32_t>(*mode) & 07777U;
  entry.uid = static_cast<std::uint32_t>(field(kUid, "uid", "user ID", 0xfffffffe));
  entry.gid = static_cast<std::uint32_t>(field(kGid, "gid", "group ID", 0xfffffffe));
  if (const std::string* given = record("mtime")) {
    try {
      entry.mtime = parsePaxTime(*given);
    } catch (const Error& error) {
      fail(error.what());
    }
  } else {
    const auto stored = number(block, kMtime);
    if (!stored) fail("its modification time is no number");
    entry.mtime.seconds = *stored;
  }

  const std::uint64_t size = field(kSize, "size", "size", kMaxSize);
  if (entry.type == TarType::regular) {
    entry.size = entry.dataSize = size;
  } else if (size != 0) {
    // Readers disagree on whether data follows such an entry.
    fail("a " + std::string(name(entry.type)) + " with a size other than 0");
  }

  if (entry.type == TarType::hardLink || entry.type == TarType::symlink) {
    const std::string* paxLink = pax.find("linkpath");
    if (longLink_ && paxLink != nullptr) fail("both a pax and a GNU long link target");
    entry.linkTarget = text(block, kLink);
    if (longLink_) entry.linkTarget = *longLink_;
    if (paxLink != nullptr) entry.linkTarget = *paxLink;
    if (entry.linkTarget.empty()) fail("a link without a target");
    if (entry.linkTarget.find('\0') != std::string::npos) fail("its target has a NUL in it");
    if (entry.linkTarget.size() > limits_.path) {
      fail("a link target of " + std::to_string(entry.linkTarget.size()) + " bytes; " +
           std::to_string(limits_.path) + " is the limit");
    }
  }
  if (entry.type == TarType::charDevice || entry.type == TarType::blockDevice) {
    // dev_t of Linux: 12 bits of major, 20 of minor number.
    entry.deviceMajor =
        static_cast<std::uint32_t>(field(kMajor, "SCHILY.devmajor", "major number", 0xfff));
    entry.deviceMinor =
        static_cast<std::uint32_t>(field(kMinor, "SCHILY.devminor", "minor number", 0xfffff));
  }

  constexpr std::string_view kXattr = "SCHILY.xattr.";
  for (const PaxRecords* records : {&std::as_const(global_), &pax}) {
    for (auto at = records->values.lower_bound(kXattr);
         at != records->values.end() && at->first.starts_with(kXattr); ++at) {
      entry.xattrs.insert_or_assign(at->first.substr(kXattr.size()), at->second);
    }
  }
  if (const std::string* acl = record("SCHILY.acl.access")) entry.accessAcl = *acl;
  if (const std::string* acl = record("SCHILY.acl.default")) entry.defaultAcl = *acl;

  if (type == 'S') readSparseBlocks(block, entry);
  applySparse(pax, entry);
  if (entry.sparse) settlePieces(entry);
  entry.dataOffset = offset_;
  dataLeft_ = entry.dataSize;
  // A sparse map at the front of the data counts as data for the padding; it fills blocks.
  padding_ = paddingOf(entry.dataSize);
  return entry;
}

void TarReader::readSparseBlocks(std::span<const std::byte> header, TarEntry& entry) {
  const auto real = number(header, kGnuRealSize);
  if (!real || *real < 0 || static_cast<std::uint64_t>(*real) > kMaxSize) {
    fail("the size of a sparse file is no number");
  }
  entry.sparse = true;
  entry.size = static_cast<std::uint64_t>(*real);
  const auto take = [&](std::span<const std::byte> block, std::size_t at, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i, at += 24) {
      if (block[at] == std::byte{0}) return;
      const auto offset = number(block, {at, 12});
      const auto length = number(block, {at + 12, 12});
      if (!offset || !length || *offset < 0 || *length < 0) fail("a sparse map that is no map");
      if (entry.pieces.size() >= limits_.sparsePieces) {
        fail("a sparse file of more than " + std::to_string(limits_.sparsePieces) + " pieces");
      }
      entry.pieces.push_back(
          {static_cast<std::uint64_t>(*offset), static_cast<std::uint64_t>(*length)});
    }
  };
  take(header, kGnuSparseAt, kGnuSparseCount);
  bool more = header[kGnuExtendedAt] != std::byte{0};
  // Blocks without any piece in them would be free otherwise.
  std::size_t blocksLeft = limits_.sparsePieces / kBlockSparseCount + 1;
  std::array<std::byte, kTarBlock> block{};
  while (more) {
    if (blocksLeft-- == 0) {
      fail("a sparse file of more than " + std::to_string(limits_.sparsePieces) + " pieces");
    }
    readExact(block);
    take(block, 0, kBlockSparseCount);
    more = block[kBlockExtendedAt] != std::byte{0};
  }
}

void TarReader::applySparse(const PaxRecords& pax, TarEntry& entry) {
  const std::string* major = pax.find("GNU.sparse.major");
  const std::string* map = pax.find("GNU.sparse.map");
  const std::string* size = pax.find("GNU.sparse.size");
  const bool version10 = major != nullptr && *major != "0";
  if (version10) {
    const std::string* minor = pax.find("GNU.sparse.minor");
    if (*major != "1" || minor == nullptr || *minor != "0")
      fail("a sparse format that is not known");
    size = pax.find("GNU.sparse.realsize");
  } else if (map == nullptr && size == nullptr && pax.sparse00.empty()) {
    if (pax.find("SCHILY.realsize") != nullptr) fail("star's sparse format is not known");
    return;
  }
  if (entry.type != TarType::regular || entry.sparse) fail("a sparse map where none belongs");
  if (map != nullptr && !pax.sparse00.empty()) fail("two sparse maps");
  const auto real = size != nullptr ? parseUint(*size) : std::nullopt;
  if (!real || *real > kMaxSize) fail("the size of a sparse file is no number");
  entry.sparse = true;
  entry.size = *real;
  if (version10) {
    readSparseMap10(entry);
  } else if (map != nullptr) {
    try {
      entry.pieces = parseSparseMap01(*map, limits_.sparsePieces);
    } catch (const Error& error) {
      fail(error.what());
    }
  } else {
    entry.pieces = pax.sparse00;
  }
}

// One decimal number of format 1.0's map; `left` counts down the stored bytes.
std::uint64_t TarReader::readSparseLine(std::uint64_t& left) {
  std::string digits;
  while (true) {
    std::byte byte{};
    if (left == 0 || digits.size() > 20) fail("a sparse map that is no map");
    readExact(std::span(&byte, 1));
    --left;
    if (byte == std::byte{'\n'}) break;
    digits.push_back(static_cast<char>(byte));
  }
  const auto value = parseUint(digits);
  if (!value) fail("a sparse map that is no map");
  return *value;
}

void TarReader::readSparseMap10(TarEntry& entry) {
  std::uint64_t left = entry.dataSize;
  const std::uint64_t count = readSparseLine(left);
  if (count > limits_.sparsePieces) {
    fail("a sparse file of more than " + std::to_string(limits_.sparsePieces) + " pieces");
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t offset = readSparseLine(left);
    entry.pieces.push_back({offset, readSparseLine(left)});
  }
  const std::uint64_t fill = paddingOf(entry.dataSize - left);
  if (fill > left) fail("a sparse map that is no map");
  pass(fill);
  entry.dataSize = left - fill;
}

void TarReader::settlePieces(TarEntry& entry) {
  std::uint64_t at = 0;
  std::uint64_t stored = 0;
  for (const SparsePiece& piece : entry.pieces) {
    if (piece.offset < at || piece.offset > entry.size ||
        piece.length > entry.size - piece.offset) {
      fail("a sparse map whose pieces overlap or lie outside the file");
    }
    at = piece.offset + piece.length;
    stored += piece.length;
  }
  if (stored != entry.dataSize) fail("a sparse map that does not add up to what is stored");
  std::erase_if(entry.pieces, [](const SparsePiece& piece) { return piece.length == 0; });
}

std::span<const std::byte> TarReader::data() {
  if (dataLeft_ == 0) return {};
  if (!refill()) fail("the archive is truncated");
  const std::size_t count =
      static_cast<std::size_t>(std::min<std::uint64_t>(dataLeft_, chunk_.size()));
  const auto piece = chunk_.first(count);
  chunk_ = chunk_.subspan(count);
  offset_ += count;
  dataLeft_ -= count;
  return piece;
}

std::uint64_t TarReader::finish() {
  while (refill()) {
    if (!allZero(chunk_)) {
      throw TrustError("there is something other than zeros after the end-of-archive marker");
    }
    offset_ += chunk_.size();
    chunk_ = {};
  }
  return offset_;
}

}  // namespace actool::cas
