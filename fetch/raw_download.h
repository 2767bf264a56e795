// Plumbing of `actool-fetch --raw URL`: the bytes at a URL, under the HTTP policy of everything
// else, nothing verified.
#pragma once

#include <cstdint>
#include <string>

#include "core/net/http.h"
#include "fetch/transfer.h"

namespace actool::fetch {

// Writes the body to `fd` as it comes. Throws as net::throwStatus() for statuses other than 200,
// NetworkError over `maxBytes`: what was written by then is not to be used.
void downloadRaw(net::HttpClient& http, const std::string& url, const HttpOptions& options,
                 std::uint64_t maxBytes, int fd);

}  // namespace actool::fetch
