#include "cas/erofs/xattrs.h"

#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <string_view>

#include "cas/aci_acl.h"
#include "cas/aci_path.h"
#include "cas/erofs/format.h"
#include "core/base/error.h"

namespace actool::cas::erofs {

namespace {

// Kernels before 5.17 keep the size of an inode's attributes in 16 bits.
constexpr std::size_t kMaxBytes = 0xfffc;

struct Prefix {
  std::string_view text;
  std::uint8_t index;
};
constexpr std::array<Prefix, 3> kPrefixes = {
    {{"user.", kXattrUser}, {"trusted.", kXattrTrusted}, {"security.", kXattrSecurity}}};

void append(std::string& out, std::uint8_t prefix, std::string_view name, std::string_view value) {
  if (value.size() > 0xffff) {
    throw Error("an extended attribute of " + std::to_string(value.size()) +
                " bytes is too large for EROFS");
  }
  XattrEntry entry;
  entry.nameLength = static_cast<std::uint8_t>(name.size());
  entry.prefix = prefix;
  entry.valueSize = static_cast<std::uint16_t>(value.size());
  out.append(reinterpret_cast<const char*>(&entry), sizeof entry);
  out.append(name);
  out.append(value);
  out.resize(roundUp(out.size(), 4), '\0');
}

// linux/posix_acl_xattr.h: a version of 4 bytes, then entries of tag, permissions and ID.
constexpr std::size_t kAclHeader = 4, kAclEntry = 8;
constexpr std::uint8_t kUserObj = 1, kGroupObj = 4, kMask = 16, kOther = 32;

// What chmod(2), the last thing to be done to a rendered file, makes of its ACL: owner, mask (the
// group where there is none) and others have the mode's bits. Nothing when it then says no
// more than the mode.
std::optional<std::string> underMode(std::string acl, std::uint32_t mode) {
  bool more = false;
  bool masked = false;
  for (std::size_t at = kAclHeader; at < acl.size(); at += kAclEntry) {
    const auto tag = static_cast<std::uint8_t>(acl[at]);
    masked = masked || tag == kMask;
    more = more || (tag != kUserObj && tag != kGroupObj && tag != kOther);
  }
  if (!more) return std::nullopt;
  for (std::size_t at = kAclHeader; at < acl.size(); at += kAclEntry) {
    const auto tag = static_cast<std::uint8_t>(acl[at]);
    if (tag == kUserObj) acl[at + 2] = static_cast<char>((mode >> 6) & 7U);
    if (tag == (masked ? kMask : kGroupObj)) acl[at + 2] = static_cast<char>((mode >> 3) & 7U);
    if (tag == kOther) acl[at + 2] = static_cast<char>(mode & 7U);
  }
  return acl;
}

class Encoder {
 public:
  Encoder(const TarEntry& entry, RenderReport& report) : entry_(entry), report_(report) {}

  std::string run() {
    for (const auto& [name, value] : entry_.xattrs) {
      if (name == kAccessAclXattr) {
        access_ = value;
      } else if (name == kDefaultAclXattr) {
        default_ = value;
      } else {
        plain(name, value);
      }
    }
    takeText(entry_.accessAcl, access_);
    takeText(entry_.defaultAcl, default_);
    acl(kAccessAclXattr, kXattrAccessAcl, access_);
    acl(kDefaultAclXattr, kXattrDefaultAcl, default_);
    if (out_.empty()) return out_;
    const XattrHeader header;
    out_.insert(0, reinterpret_cast<const char*>(&header), sizeof header);
    if (out_.size() > kMaxBytes) {
      throw Error("extended attributes of " + std::to_string(out_.size()) +
                  " bytes are too large for EROFS");
    }
    return out_;
  }

 private:
  void skip(std::string_view name) {
    if (report_.xattrsSkipped++ == 0) report_.firstXattrSkipped = name;
  }

  void plain(const std::string& name, const std::string& value) {
    // Linux has user attributes on files and directories only.
    const bool forUsers = entry_.type == TarType::regular || entry_.type == TarType::directory;
    for (const Prefix& prefix : kPrefixes) {
      if (!name.starts_with(prefix.text) || name.size() == prefix.text.size()) continue;
      if (prefix.index == kXattrUser && !forUsers) continue;
      const std::string_view rest = std::string_view(name).substr(prefix.text.size());
      if (rest.size() > 0xff || rest.find('\0') != rest.npos) continue;
      append(out_, prefix.index, rest, value);
      return;
    }
    skip(name);
  }

  void takeText(const std::string& text, std::optional<std::string>& into) {
    if (text.empty()) return;
    if (auto value = aclAttribute(text)) {
      into = std::move(value);
    } else {
      ++report_.aclsSkipped;
    }
  }

  void acl(std::string_view name, std::uint8_t prefix, const std::optional<std::string>& value) {
    if (!value) return;
    withContext("the attribute " + inQuotes(name), [&] { aclText(*value); });
    const bool access = prefix == kXattrAccessAcl;
    if (entry_.type == TarType::symlink || (!access && entry_.type != TarType::directory)) {
      return skip(name);
    }
    const auto kept = access ? underMode(*value, entry_.mode) : value;
    if (kept && kept->size() > kAclHeader) append(out_, prefix, {}, *kept);
  }

  const TarEntry& entry_;
  RenderReport& report_;
  std::string out_;
  std::optional<std::string> access_;
  std::optional<std::string> default_;
};

}  // namespace

std::string encodeXattrs(const TarEntry& entry, RenderReport& report) {
  const bool none = entry.xattrs.empty() && entry.accessAcl.empty() && entry.defaultAcl.empty();
  return none ? std::string() : Encoder(entry, report).run();
}

}  // namespace actool::cas::erofs
