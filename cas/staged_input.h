// The other way for bytes into an ingest: a transport that gets them in any order writes them into
// a file that it was given the descriptor of (docs/ingest-protocol.md, Pieces).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/fd.h"
#include "core/base/fs.h"

namespace actool::cas {

// Opens `file`, making it when it is missing, and sends its descriptor over `socket`; it is closed
// here. Interrupted (pipeline.h) when the transport is gone.
void offerStaged(int socket, const Path& file);

// Follows what the transport says until it has all: `prefix` is given the bytes that are right at
// the beginning as it reports them. Returns the size of the whole. Interrupted (pipeline.h) when
// `interruptFd` becomes readable, or the transport goes away before it said that all is there.
// Error on anything else.
std::uint64_t awaitStaged(int socket, int interruptFd,
                          const std::function<void(std::uint64_t)>& prefix);

// Whether no process has `fd` (read-only) open for writing, so that what is read from it now stays.
// False also where the file system can't tell.
bool hasNoWriter(int fd);

}  // namespace actool::cas
