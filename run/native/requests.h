// The pod's side of the control socket (control.h): who asks for what, and the answers.
#pragma once

#include <poll.h>

#include <functional>
#include <list>
#include <set>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "run/native/control.h"
#include "run/native/streams.h"

namespace actool::run::native {

class Requests {
 public:
  // What a pod that changes does when it is asked; each may throw Error, which is the answer.
  struct Actions {
    std::function<void(const std::string& app)> start;
    std::function<void(const std::string& app)> stop;
    std::function<void(const std::string& app)> forget;
  };

  // `actions` without functions: the pod's apps do not change.
  Requests(Streams& streams, Actions actions);

  void begun(const std::string& app);
  void failed(const std::string& app, const std::string& why);
  void ended(const std::string& app);

  void addTo(std::vector<pollfd>& fds) const;
  void handle(const std::vector<pollfd>& fds);

 private:
  struct Connection {
    UniqueFd fd;
    // Set while the answer waits for an app to begin or to end.
    std::string waitsFor;
    Packet kind = Packet::list;
    bool over = false;
  };
  void take(Connection& connection);
  void serve(Connection& connection, const Received& request);
  static void finish(Connection& connection, Packet kind, const std::string& text);
  void finishAll(const std::string& app, Packet waited, Packet kind, const std::string& text);

  Streams& streams_;
  Actions actions_;
  UniqueFd listener_;
  std::list<Connection> connections_;
  std::set<std::string> running_;
};

}  // namespace actool::run::native
