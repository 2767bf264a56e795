#include "run/native/cgroup_hierarchy.h"

#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

// mountinfo of a host with thousands of mounts is some hundred kB.
constexpr std::size_t kMaxProcText = 64 << 20;
constexpr std::size_t kMaxControllerList = 4096;

// One line of mountinfo: "36 35 98:0 /root /mount/point options optional... - type source super".
struct MountLine {
  std::string_view root;
  std::string_view point;
  std::string_view type;
  std::string_view superOptions;
};

std::optional<MountLine> parseMount(std::string_view line) {
  const std::vector<std::string_view> fields = split(line, ' ');
  const auto separator = std::find(fields.begin(), fields.end(), "-");
  if (separator - fields.begin() < 6 || fields.end() - separator < 4) return std::nullopt;
  return MountLine{fields[3], fields[4], separator[1], separator[3]};
}

// "4:memory:/user/x" and "0::/user/x": the cgroup by its controllers, version 2 under "".
std::map<std::string, std::string, std::less<>> parseOwn(std::string_view text) {
  std::map<std::string, std::string, std::less<>> own;
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string path(line.substr(second + 1));
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (controllers.empty()) own.emplace("", path);
    for (const std::string_view one : split(controllers, ','))
      if (!one.empty()) own.emplace(one, path);
  }
  return own;
}

// The cgroup's path below a mount whose root is the cgroup `root`.
std::optional<std::string> pathBelow(const std::string& path, std::string_view root) {
  if (root == "/") return path;
  if (path == root) return "/";
  if (hasPathPrefix(path, root)) return path.substr(root.size());
  return std::nullopt;
}

Path directoryBelow(const Path& directory, const std::string& path) {
  return path == "/" ? directory : directory / path.substr(1);
}

std::set<std::string> wordsOf(std::string_view text, char separator) {
  std::set<std::string> found;
  for (const std::string_view word : split(trim(text), separator))
    if (!word.empty()) found.emplace(word);
  return found;
}

}  // namespace

std::vector<CgroupHierarchy> parseHierarchies(std::string_view mountinfo, std::string_view cgroup,
                                              const Path& root) {
  const auto own = parseOwn(cgroup);
  std::vector<CgroupHierarchy> found;
  std::set<std::string> seen;  // one controller of each
  for (const std::string_view line : split(mountinfo, '\n')) {
    const std::optional<MountLine> mount = parseMount(line);
    if (!mount || (mount->type != "cgroup" && mount->type != "cgroup2")) continue;
    CgroupHierarchy hierarchy;
    hierarchy.unified = mount->type == "cgroup2";
    hierarchy.mountPoint = root.empty() ? Path(mount->point) : root / mount->point.substr(1);
    auto place = own.find("");
    if (hierarchy.unified) {
      const auto controllers =
          tryReadFile(hierarchy.mountPoint / "cgroup.controllers", kMaxControllerList);
      if (controllers) hierarchy.controllers = wordsOf(*controllers, ' ');
    } else {
      // Among the file system's options are its controllers: those that /proc/self/cgroup knows.
      place = own.end();
      for (const std::string& option : wordsOf(mount->superOptions, ',')) {
        const auto known = own.find(option);
        if (known == own.end()) continue;
        hierarchy.controllers.insert(option);
        place = known;
      }
    }
    if (place == own.end() || seen.contains(place->first)) continue;
    const auto path = pathBelow(place->second, mount->root);
    if (!path) continue;
    seen.insert(place->first);
    hierarchy.own = directoryBelow(hierarchy.mountPoint, *path);
    found.push_back(std::move(hierarchy));
  }
  return found;
}

std::vector<CgroupHierarchy> ownHierarchies() {
  return parseHierarchies(readFile("/proc/self/mountinfo", kMaxProcText),
                          readFile("/proc/self/cgroup", kMaxProcText));
}

const CgroupHierarchy* findController(const std::vector<CgroupHierarchy>& hierarchies,
                                      const std::string& controller) {
  const CgroupHierarchy* found = nullptr;
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    if (!hierarchy.controllers.contains(controller)) continue;
    if (found == nullptr || !hierarchy.unified) found = &hierarchy;
  }
  return found;
}

}  // namespace actool::run::native
