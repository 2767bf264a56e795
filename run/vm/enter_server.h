// The stage1's end of the commands that enter the guest.
#pragma once

#include <poll.h>

#include <cstdint>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "core/base/fd.h"
#include "run/native/control.h"
#include "run/vm/wire.h"

namespace actool::run::vm {

class EnterServer {
 public:
  // Listens in the pod's directory, the working directory.
  EnterServer();

  void addTo(std::vector<pollfd>& fds) const;
  void handle(const std::vector<pollfd>& fds, Link& link);
  // A frame of a job that is not the pod's.
  void take(const Frame& frame, Link& link);

 private:
  struct Client {
    UniqueFd fd;
    std::uint16_t job = 0;
    std::list<std::pair<native::Packet, std::string>> pending;  // for it
    std::size_t onTheWay = 0;                                   // from it to the guest
    bool started = false;
    bool ended = false;   // goes when `pending` is written
    bool failed = false;  // what it gets is an error instead of an exit code
  };

  void accept();
  void read(Client& client, Link& link);
  static void flush(Client& client, Link& link);

  UniqueFd listener_;
  std::list<Client> clients_;
  std::uint16_t lastJob_ = kPodJob;
};

}  // namespace actool::run::vm
