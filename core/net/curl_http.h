// HttpClient over libcurl. One client may be used by one thread at a time; it keeps its
// connections. Proxies are those of `proxies` for the places that it names, elsewhere those of
// https_proxy, http_proxy and no_proxy; the CA bundle is the system's or $SSL_CERT_FILE.
#pragma once

#include <memory>

#include "core/net/http.h"
#include "core/net/proxy_config.h"

namespace actool::net {

std::unique_ptr<HttpClient> makeCurlClient(AuthConfig auth, ProxyConfig proxies = {});
// With the credentials and proxies of the configuration.
std::unique_ptr<HttpClient> makeCurlClient(const ConfigDirs& dirs);

}  // namespace actool::net
