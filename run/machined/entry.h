// A pod's entry with systemd-machined: what `machinectl list` shows
// (org.freedesktop.machine1(5)).
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "core/base/uuid.h"

struct sd_bus;

namespace actool::run {

// Made by the constructor and taken back by the destructor, over the system bus.
class MachineEntry {
 public:
  // `leader`: the pod's first process, as the host numbers it. Throws Error with machined's
  // reason, or that there is none.
  MachineEntry(const Uuid& pod, pid_t leader);
  ~MachineEntry();
  MachineEntry(const MachineEntry&) = delete;
  MachineEntry& operator=(const MachineEntry&) = delete;

  // "rkt-UUID", which is also the pod's host name when it was given no other.
  const std::string& name() const { return name_; }

 private:
  struct BusCloser {
    void operator()(sd_bus* bus) const;
  };

  std::string name_;
  std::unique_ptr<sd_bus, BusCloser> bus_;
};

}  // namespace actool::run
