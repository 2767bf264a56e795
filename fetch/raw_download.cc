#include "fetch/raw_download.h"

#include "core/base/fd.h"

namespace actool::fetch {

void downloadRaw(net::HttpClient& http, const std::string& url, const HttpOptions& options,
                 std::uint64_t maxBytes, int fd) {
  net::HttpRequest request;
  request.url = url;
  request.allowHttp = options.allowHttp;
  request.verifyTls = options.verifyTls;
  request.maxBytes = maxBytes;
  const net::HttpResponse response =
      http.get(request, [&](const net::HttpResponse&, std::span<const std::byte> bytes) {
        writeAll(fd, bytes, "standard output");
      });
  if (response.status != 200) net::throwStatus(response, url);
}

}  // namespace actool::fetch
