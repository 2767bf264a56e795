// Readiness of a pod, told to the service manager that started it (sd_notify(3)).
#pragma once

#include <poll.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/fd.h"

namespace actool::run::native {

// The image annotation of apps that say themselves when they are ready.
inline constexpr const char* kNotifyAnnotation = "appc.io/executor/supports-systemd-notify";
inline constexpr const char* kNotifyVariable = "NOTIFY_SOCKET";
// In an app's /dev: where it sends to.
inline constexpr const char* kNotifyName = "notify";

// In an app's process, which still sees the host's /proc: a datagram socket bound as `kNotifyName`
// in the directory `dev`.
UniqueFd bindNotifySocket(int dev);

// The process outside's part. Without a service manager that listens it does nothing.
class Readiness {
 public:
  // `saying`: the apps that say themselves when they are ready.
  explicit Readiness(std::set<std::string> saying) : waiting_(std::move(saying)) {}

  // All apps have begun: with no app that says so itself the pod is ready.
  void allBegun();
  void addSocket(const std::string& app, UniqueFd socket);
  void addTo(std::vector<pollfd>& fds) const;
  void handle(const std::vector<pollfd>& fds);

 private:
  void receive(const std::string& app, int socket);
  void tellIfReady();

  std::set<std::string> waiting_;
  std::map<std::string, UniqueFd> sockets_;
  bool begun_ = false;
  bool told_ = false;
};

}  // namespace actool::run::native
