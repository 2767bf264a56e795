// What the guest sees of the host's directories: one tree, over virtiofs.
#pragma once

#include <optional>
#include <string>

#include "core/base/fd.h"
#include "core/base/fs.h"
#include "core/base/process.h"
#include "run/native/plan.h"

namespace actool::run::vm {

// In the guest below kShareDir: "root-N" is the root of the app with number N where that is not a
// disk, "mount-N-M" is the source of its mount number M.
inline constexpr const char* kShareDir = "/share";
std::string rootShareName(std::size_t app);
std::string mountShareName(std::size_t app, std::size_t mount);

// A tree of mounts in `dir`, in this mount namespace, and the virtiofsd(1) that serves it. What is
// read-only is so on the host: a guest that was taken over by an app cannot change that. virtiofsd
// confines itself to the tree.
class Share {
 public:
  // `dir` is relative to the working directory, the pod's, and made.
  explicit Share(const Path& dir);

  // Throws Error when it has a symbolic link on its path or is a device.
  void addMount(std::size_t app, std::size_t index, const native::MountPlan& mount);
  void addRoot(std::size_t app, const native::AppPlan& plan, bool protect);
  bool empty() const { return empty_; }

  // Starts virtiofsd. NotFoundError when there is none. Returns the path of its socket, relative to
  // the working directory; one client can connect to it.
  std::string serve();

 private:
  void attach(int mount, const std::string& name, bool directory);

  Path dir_;
  UniqueFd root_;
  bool empty_ = true;
  std::optional<Child> server_;
};

}  // namespace actool::run::vm
