// Messages over a Unix socket with a descriptor beside their bytes (unix(7), SCM_RIGHTS).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "core/base/fd.h"

namespace actool {

// Sends `bytes`, at least one and no more than the socket takes at once, with `fd` unless it is
// negative; `fd` stays the caller's. False when the other side is gone. Throws SystemError, whose
// text begins with "sending " and `what`.
bool sendMessage(int socket, std::string_view bytes, int fd, std::string_view what);

struct ReceivedMessage {
  std::size_t size = 0;  // bytes, at the buffer's begin; 0 when the other side is gone
  UniqueFd fd;           // invalid when no descriptor came, or more than one
};
// The next message; what of it is longer than `buffer` is lost where the socket keeps messages
// apart. Waits for one, or with `wait` false gives nothing when none is there. Throws SystemError,
// whose text begins with "receiving " and `what`.
std::optional<ReceivedMessage> receiveMessage(int socket, std::span<char> buffer,
                                              std::string_view what, bool wait = true);

}  // namespace actool
