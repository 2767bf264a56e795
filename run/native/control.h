// The socket over which entry points ask the process outside of a running pod for something
// (docs/native.md, The control socket). It lies in the pod's directory, which only root enters,
// and exists only where there is something to ask for.
//
// A message is one packet: a byte that says what it is, then the rest.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool::run::native {

inline constexpr const char* kControlSocket = "control";  // in the pod's directory

enum class Packet : char {
  // To the pod.
  list = 'L',    // app: its endpoints, one a line
  attach = 'A',  // "app endpoint endpoint...": what follows are `input` and `size`
  input = 'I',
  size = 'W',    // "rows columns" of the client's terminal
  start = 'S',   // app
  stop = 'T',    // app; answered when it has ended
  remove = 'R',  // app, which does not run
  // From the pod.
  done = 'D',   // the answer to a request; the text of one for `list`
  error = 'E',  // the answer instead: why not
  output = 'O',
  errorOutput = 'X',
};

// A byte and a page are less than any socket's limit, and keep what is buffered for clients small.
inline constexpr std::size_t kMaxPacket = 16 << 10;

// A listening socket, non-blocking, at `path` relative to the working directory (a socket's
// address is shorter than a pod's path). What is there is replaced.
UniqueFd listenControl(const Path& path);
// Throws Error when nobody listens: the pod has nothing to ask for.
UniqueFd connectControl(const Path& path);

// False when the other side is gone or, with `wait` false, takes no more just now.
bool sendPacket(int fd, Packet kind, std::string_view text, bool wait);

struct Received {
  Packet kind;
  std::string text;
};
// Blocks. Nothing when the other side is gone.
std::optional<Received> receivePacket(int fd);

// One request and its answer: the text of `done`. Throws Error with the text of `error`.
std::string askPod(Packet kind, std::string_view text);

}  // namespace actool::run::native
