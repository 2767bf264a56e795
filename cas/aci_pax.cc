#include "cas/aci_pax.h"

#include <limits>

#include "cas/aci_path.h"
#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

constexpr std::string_view kXattrPrefix = "SCHILY.xattr.";

std::uint64_t number(std::string_view text, std::string_view key) {
  if (auto value = parseUint(text)) return *value;
  throw Error("the pax record " + inQuotes(key) + " has the value " + inQuotes(text) +
              " where a number belongs");
}

void tooManyPieces(std::size_t maxPieces) {
  throw Error("a sparse file of more than " + std::to_string(maxPieces) + " pieces");
}

}  // namespace

const std::string* PaxRecords::find(std::string_view key) const {
  auto found = values.find(key);
  return found == values.end() ? nullptr : &found->second;
}

void parsePaxRecords(std::string_view text, std::size_t maxPieces, PaxRecords& into) {
  while (!text.empty()) {
    const std::size_t space = text.substr(0, 20).find(' ');
    const auto length = space == text.npos ? std::nullopt : parseUint(text.substr(0, space));
    // "5 a=\n" is the shortest record.
    if (!length || *length > text.size() || *length < space + 4 || text[*length - 1] != '\n') {
      throw Error("a pax record with a wrong length");
    }
    const std::string_view record = text.substr(space + 1, *length - space - 2);
    text.remove_prefix(*length);
    const std::size_t equals = record.find('=');
    if (equals == record.npos || equals == 0) throw Error("a pax record without a key");
    const std::string_view key = record.substr(0, equals);
    const std::string_view value = record.substr(equals + 1);
    if (key.find('\0') != key.npos) throw Error("a pax record whose key has a NUL in it");

    if (key == "GNU.sparse.offset") {
      if (into.sparse00.size() >= maxPieces) tooManyPieces(maxPieces);
      into.sparse00.push_back({number(value, key), 0});
    } else if (key == "GNU.sparse.numbytes") {
      if (into.sparse00.empty()) throw Error("GNU.sparse.numbytes without GNU.sparse.offset");
      into.sparse00.back().length = number(value, key);
    } else if (value.empty() && !key.starts_with(kXattrPrefix)) {
      if (auto found = into.values.find(key); found != into.values.end()) {
        into.values.erase(found);
      }
    } else {
      into.values.insert_or_assign(std::string(key), std::string(value));
    }
  }
}

TarTime parsePaxTime(std::string_view text) {
  const auto bad = [&] { return Error("the time " + inQuotes(text) + " is no number"); };
  const bool negative = text.starts_with('-');
  std::string_view rest = negative ? text.substr(1) : text;
  const std::size_t dot = rest.find('.');
  const auto whole = parseUint(rest.substr(0, dot));
  if (!whole || *whole > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / 2)) {
    throw bad();
  }
  std::int64_t nanos = 0;
  if (dot != rest.npos) {
    const std::string_view fraction = rest.substr(dot + 1);
    std::int64_t scale = 100'000'000;
    for (char digit : fraction) {
      if (digit < '0' || digit > '9') throw bad();
      nanos += scale * (digit - '0');
      scale /= 10;
    }
  }
  TarTime time{static_cast<std::int64_t>(*whole), static_cast<std::int32_t>(nanos)};
  if (negative) {
    // Nanoseconds count upwards from the second before.
    time.seconds = -time.seconds;
    if (time.nanoseconds > 0) {
      time.seconds -= 1;
      time.nanoseconds = 1'000'000'000 - time.nanoseconds;
    }
  }
  return time;
}

std::vector<SparsePiece> parseSparseMap01(std::string_view text, std::size_t maxPieces) {
  std::vector<SparsePiece> pieces;
  bool expectLength = false;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::uint64_t value = number(text.substr(0, comma), "GNU.sparse.map");
    if (expectLength) {
      pieces.back().length = value;
    } else {
      if (pieces.size() >= maxPieces) tooManyPieces(maxPieces);
      pieces.push_back({value, 0});
    }
    expectLength = !expectLength;
    if (comma == text.npos) break;
    text.remove_prefix(comma + 1);
  }
  if (expectLength) throw Error("GNU.sparse.map ends in an offset without a length");
  return pieces;
}

}  // namespace actool::cas
