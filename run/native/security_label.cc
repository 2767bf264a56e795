#include "run/native/security_label.h"

#include <fcntl.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

constexpr std::string_view kSelinux = "os/linux/selinux-context";
constexpr std::string_view kApparmor = "os/linux/apparmor-profile";
// A distribution has some hundred profiles.
constexpr std::size_t kMaxProfiles = 4 << 20;

const schema::Isolator* eitherOf(std::string_view name, const schema::Isolators& pod,
                                 const schema::Isolators& app) {
  const schema::Isolator* own = app.find(name);
  return own != nullptr ? own : pod.find(name);
}

SecurityLabel selinuxLabel(const Json& value, const Path& sys) {
  if (!actool::exists(sys / "fs/selinux/enforce")) {
    throw Error("SELinux is not active on this host", "take the isolator out of the manifest");
  }
  std::string context;
  for (const char* part : {"user", "role", "type", "level"}) {
    if (!context.empty()) context += ":";
    context += stringMember(value, part);
  }
  return {SecurityLabel::Kind::selinux, context};
}

// Lines of "name (mode)".
bool listsProfile(std::string_view profiles, const std::string& name) {
  const std::vector<std::string_view> lines = split(profiles, '\n');
  return std::any_of(lines.begin(), lines.end(), [&](std::string_view line) {
    return line.starts_with(name) && line.substr(name.size()).starts_with(" (");
  });
}

SecurityLabel apparmorLabel(const Json& value, const Path& sys) {
  const auto enabled = tryReadFile(sys / "module/apparmor/parameters/enabled", 64);
  if (!enabled || trim(*enabled) != "Y") {
    throw Error("AppArmor is not active on this host", "take the isolator out of the manifest");
  }
  const std::string profile = stringMember(value, "profile");
  // Where the list cannot be read (no securityfs), the kernel refuses what it does not know.
  const auto profiles = tryReadFile(sys / "kernel/security/apparmor/profiles", kMaxProfiles);
  if (profiles && !listsProfile(*profiles, profile)) {
    throw Error("there is no profile \"" + printable(profile) + "\" on this host",
                "load it with apparmor_parser");
  }
  return {SecurityLabel::Kind::apparmor, profile};
}

}  // namespace

std::vector<SecurityLabel> securityLabels(const schema::Isolators& pod,
                                          const schema::Isolators& app, const Path& sys) {
  std::vector<SecurityLabel> labels;
  if (const schema::Isolator* isolator = eitherOf(kSelinux, pod, app)) {
    withContext(kSelinux, [&] { labels.push_back(selinuxLabel(isolator->value, sys)); });
  }
  if (const schema::Isolator* isolator = eitherOf(kApparmor, pod, app)) {
    withContext(kApparmor, [&] { labels.push_back(apparmorLabel(isolator->value, sys)); });
  }
  return labels;
}

void setSecurityLabels(const std::vector<SecurityLabel>& labels) {
  for (const SecurityLabel& label : labels) {
    const bool selinux = label.kind == SecurityLabel::Kind::selinux;
    const UniqueFd file =
        openFile(selinux ? "/proc/self/attr/exec" : "/proc/self/attr/apparmor/exec", O_WRONLY);
    writeAll(file.get(), selinux ? label.value : "exec " + label.value,
             "the label \"" + printable(label.value) + "\"");
  }
}

}  // namespace actool::run::native
