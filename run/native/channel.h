// What the processes of a pod tell each other while it runs: whole messages over a socket pair.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/fd.h"

namespace actool::run::native {

enum class MessageKind : char {
  failure = 'F',         // payload: the error's line; from an app or the supervisor
  appBegun = 'B',        // payload: the app and its PID in the pod: "web 2"
  appFailed = 'E',       // of a pod that changes; payload: the app and why it did not begin
  appExited = 'X',       // payload: the app and its exit code: "web 3"
  ready = 'R',           // no payload; what was to be set up is
  network = 'W',         // from outside, and to an app; with the pod's network namespace
  terminal = 'T',        // with the master side of a terminal: the app's named, or the pod's
  metadata = 'D',        // payload: the metadata service's URL; with its socket
  notify = 'N',          // payload: the app; with the socket it says its readiness to
  stream = 'I',          // from outside, before startApp: "0" to "2", with the app's end of it
  joinCgroup = 'G',      // from outside, before startApp; payload: one of AppIsolation::joinFiles
  oomScoreAdj = 'O',     // from outside, before startApp; payload: the number
  startApp = 'S',        // from outside; payload: the app
  stopApp = 'P',         // from outside; payload: the app
  mountNamespace = 'M',  // with an app's mount namespace, for its post-stop handler
};

struct Message {
  MessageKind kind = MessageKind::failure;
  std::string payload;
  UniqueFd fd;
};

// One end. Closed on exec, which is how an app's end says that the app has begun.
class Channel {
 public:
  static std::pair<Channel, Channel> makePair();

  int fd() const { return fd_.get(); }
  void close() { fd_.reset(); }
  // A payload is cut at 8 kB. False when the other side is gone.
  bool send(MessageKind kind, std::string_view payload, int fd = -1) const;
  // Blocks for the next message; nothing once the other side is closed. With `wait` false,
  // nothing also when none is there yet.
  std::optional<Message> receive(bool wait = true) const;
  // True once everything was received and the other side is closed.
  bool atEnd() const { return atEnd_; }
  // Gives the descriptor this number; what had it before is closed.
  void moveTo(int number);

 private:
  explicit Channel(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  mutable bool atEnd_ = false;
};

}  // namespace actool::run::native
