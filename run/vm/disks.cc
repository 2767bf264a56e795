#include "run/vm/disks.h"

#include <map>

#include "cas/layout.h"
#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::run::vm {
namespace {

constexpr std::size_t kMaxPathFile = 8192;
constexpr std::size_t kMaxDevicesFile = 1 << 20;

// The files of the image in <store>/trees/<key>, the index first.
std::vector<Path> filesOf(const Path& index) {
  const Path tree = index.parent_path();
  std::vector<Path> files{index};
  const auto text = tryReadFile(tree / "devices", kMaxDevicesFile);
  if (!text) return files;
  const cas::StoreLayout store(tree.parent_path().parent_path());
  for (const cas::MountableDevice& device :
       cas::parseDevices(store, *text, (tree / "devices").string())) {
    if (!actool::exists(device.tar)) {
      throw NotFoundError("the tar of image " + device.image.str() + " is not in the store");
    }
    files.push_back(device.tar);
  }
  return files;
}

}  // namespace

PodDisks findDisks(const native::PodPlan& plan, const PodLayout& layout) {
  PodDisks found;
  std::map<Path, std::string> serials;
  for (const native::AppPlan& app : plan.apps) {
    AppRoot root;
    const auto text = tryReadFile(layout.appTreeFile(app.name), kMaxPathFile);
    const Path index(text ? std::string(trim(*text)) : std::string());
    if (index.filename() == "erofs" && !actool::exists(layout.copiedMark())) {
      const std::vector<Path> files = withContext(app.shown(), [&] { return filesOf(index); });
      std::vector<Disk> fresh;
      for (const Path& file : files) {
        if (serials.contains(file)) continue;
        fresh.push_back({file, "disk" + std::to_string(found.disks.size() + fresh.size())});
      }
      if (found.disks.size() + fresh.size() <= kMostDisks) {
        for (Disk& disk : fresh) {
          serials[disk.file] = disk.serial;
          found.disks.push_back(std::move(disk));
        }
        root.index = serials.at(files.front());
        for (std::size_t i = 1; i < files.size(); ++i)
          root.devices.push_back(serials.at(files[i]));
      }
    }
    found.roots.push_back(std::move(root));
  }
  return found;
}

}  // namespace actool::run::vm
