// HttpClient over libcurl. One client may be used by one thread at a time; it keeps its
// connections. Proxies come from https_proxy, http_proxy and no_proxy, the CA bundle from
// the system or $SSL_CERT_FILE.
#pragma once

#include <memory>

#include "core/net/http.h"

namespace actool::net {

std::unique_ptr<HttpClient> makeCurlClient(AuthConfig auth);

}  // namespace actool::net
