// How a running seeder is asked how it does: a Unix socket that answers each connection with one
// line of JSON and closes it. It takes nothing from who connects.
#pragma once

#include <functional>
#include <string>

#include "core/base/fd.h"
#include "core/base/fs.h"
#include "core/base/json.h"

namespace actool::p2p {

// Owns the socket's name.
class ControlSocket {
 public:
  // Replaces what a seeder that was killed left; throws InUseError when one answers there.
  explicit ControlSocket(Path path);
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  int fd() const { return fd_.get(); }
  const Path& path() const { return path_; }
  // Answers who waits. One who does not read holds this up for a second.
  void answer(const std::function<std::string()>& status) const;

 private:
  Path path_;
  UniqueFd fd_;
};

// What the seeder at `path` answers. NotFoundError when there is none.
Json askSeeder(const Path& path);

// The directory that a seeder of this store writes to: <store>/seed, or, where the store can't be
// written, $XDG_RUNTIME_DIR/actool-seed. Empty when there is neither.
Path seederDir(const Path& store);
inline constexpr const char* kControlName = "control.sock";

}  // namespace actool::p2p
