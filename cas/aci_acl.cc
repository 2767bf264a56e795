#include "cas/aci_acl.h"

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "cas/aci_path.h"
#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

// linux/posix_acl_xattr.h
constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kNoId = 0xffffffff;
constexpr std::uint16_t kUserObj = 1, kUser = 2, kGroupObj = 4, kGroup = 8, kMask = 16, kOther = 32;

struct Entry {
  std::uint16_t tag = 0;
  std::uint16_t permissions = 0;
  std::uint32_t id = kNoId;
};

[[noreturn]] void bad(std::string_view entry) {
  throw Error("the ACL entry " + inQuotes(entry) + " is none");
}

std::uint16_t permissions(std::string_view text, std::string_view entry) {
  std::uint16_t bits = 0;
  for (char letter : text) {
    if (letter == 'r') {
      bits |= 4;
    } else if (letter == 'w') {
      bits |= 2;
    } else if (letter == 'x') {
      bits |= 1;
    } else if (letter != '-') {
      bad(entry);
    }
  }
  return bits;
}

// False when the entry names somebody without a number.
bool parseEntry(std::string_view text, Entry& entry) {
  const std::vector<std::string_view> fields = split(text, ':');
  if (fields.size() < 3 || fields.size() > 4) bad(text);
  const std::string_view kind = fields[0];
  const bool named = !fields[1].empty();
  if (kind == "user" || kind == "u") {
    entry.tag = named ? kUser : kUserObj;
  } else if (kind == "group" || kind == "g") {
    entry.tag = named ? kGroup : kGroupObj;
  } else if ((kind == "mask" || kind == "m") && !named) {
    entry.tag = kMask;
  } else if ((kind == "other" || kind == "o") && !named) {
    entry.tag = kOther;
  } else {
    bad(text);
  }
  entry.permissions = permissions(fields[2], text);
  if (!named) return true;
  const auto id = parseUint(fields.size() == 4 ? fields[3] : fields[1]);
  if (!id && fields.size() == 4) bad(text);
  if (!id) return false;
  if (*id >= kNoId) bad(text);
  entry.id = static_cast<std::uint32_t>(*id);
  return true;
}

void putLittle(std::string& out, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i)
    out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

std::uint32_t takeLittle(std::string_view& from, std::size_t bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(from[i])) << (8 * i);
  }
  from.remove_prefix(bytes);
  return value;
}

std::string_view tagName(std::uint32_t tag) {
  switch (tag) {
    case kUserObj:
    case kUser:
      return "user";
    case kGroupObj:
    case kGroup:
      return "group";
    case kMask:
      return "mask";
    case kOther:
      return "other";
    default:
      throw Error("an ACL entry of a kind that is not known");
  }
}

}  // namespace

std::string aclText(std::string_view attribute) {
  if (attribute.size() < 4 || attribute.size() % 8 != 4 || takeLittle(attribute, 4) != kVersion) {
    throw Error("an ACL of a version that is not known");
  }
  std::string text;
  while (!attribute.empty()) {
    const std::uint32_t tag = takeLittle(attribute, 2);
    const std::uint32_t bits = takeLittle(attribute, 2);
    const std::uint32_t id = takeLittle(attribute, 4);
    if (!text.empty()) text += ',';
    text += tagName(tag);
    text += ':';
    if (tag == kUser || tag == kGroup) text += std::to_string(id);
    text += ':';
    text += (bits & 4U) != 0 ? 'r' : '-';
    text += (bits & 2U) != 0 ? 'w' : '-';
    text += (bits & 1U) != 0 ? 'x' : '-';
  }
  return text;
}

std::optional<std::string> aclAttribute(std::string_view text) {
  std::vector<Entry> entries;
  bool everyoneKnown = true;
  while (!text.empty()) {
    const std::size_t end = text.find_first_of(",\n");
    std::string_view one = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    one = trim(one.substr(0, one.find('#')));
    if (one.empty()) continue;
    Entry entry;
    everyoneKnown = parseEntry(one, entry) && everyoneKnown;
    entries.push_back(entry);
  }
  if (entries.empty()) throw Error("an ACL without entries");
  if (!everyoneKnown) return std::nullopt;
  // The kernel takes them in this order only.
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.tag, a.id) < std::tie(b.tag, b.id);
  });
  std::string out;
  putLittle(out, kVersion, 4);
  for (const Entry& entry : entries) {
    putLittle(out, entry.tag, 2);
    putLittle(out, entry.permissions, 2);
    putLittle(out, entry.id, 4);
  }
  return out;
}

}  // namespace actool::cas
