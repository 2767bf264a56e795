// Which addresses of a network are taken, in the files of CNI's host-local plugin
// (github.com/containernetworking/plugins, plugins/ipam/host-local): the two can share a network.
//
//   DIRECTORY/lock                 flock(2) on it for every change
//   DIRECTORY/172.16.28.2          the pod's UUID, CR LF, the pod's interface
//   DIRECTORY/last_reserved_ip.0   where the next search begins
#pragma once

#include <optional>
#include <string>

#include "core/base/fd.h"
#include "core/base/fs.h"
#include "core/base/uuid.h"
#include "run/native/net/ipv4.h"

namespace actool::run::native {

// The leases of one network, locked as long as this lives.
class Leases {
 public:
  // Where host-local has those of the network `name`.
  static Path directoryOf(const std::string& name);

  // Makes the directory. Waits for whoever has the lock.
  explicit Leases(Path directory);

  // An address of `subnet` that nobody has, after the one that was given last, as that is free for
  // the longest time; or `wanted`, which has to be free. Throws Error when there is none.
  Ipv4 take(const Subnet& subnet, const Uuid& pod, const std::string& interface,
            std::optional<Ipv4> wanted);
  // What the pod has there for the interface, if anything.
  void giveBack(const Uuid& pod, const std::string& interface);
  // Whether nobody has an address of the subnet.
  bool none(const Subnet& subnet) const;

 private:
  bool tryTake(Ipv4 address, const std::string& owner);

  Path directory_;
  UniqueFd lock_;
};

}  // namespace actool::run::native
