#include "p2p/metrics.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "p2p/endpoint.h"

namespace actool::p2p {

namespace {

constexpr unsigned kMostClients = 8;
constexpr unsigned kClientSeconds = 5;

MHD_Result answerRequest(void* server, MHD_Connection* connection, const char* url,
                         const char* method, const char*, const char*, std::size_t*, void**) {
  const bool known = std::strcmp(url, "/metrics") == 0 && std::strcmp(method, "GET") == 0;
  const std::string text =
      known ? static_cast<const MetricsServer*>(server)->text() : std::string("see /metrics\n");
  MHD_Response* response = MHD_create_response_from_buffer(
      text.size(), const_cast<char*>(text.data()), MHD_RESPMEM_MUST_COPY);
  MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4");
  const MHD_Result result =
      MHD_queue_response(connection, known ? MHD_HTTP_OK : MHD_HTTP_NOT_FOUND, response);
  MHD_destroy_response(response);
  return result;
}

sockaddr_storage loopbackAddress(const std::string& host, int port) {
  sockaddr_storage storage{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (host.starts_with("127.") && ::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(port));
  } else if (host == "::1" && ::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<std::uint16_t>(port));
  } else {
    throw UsageError(
        fmt::format("--metrics: {} is no loopback address", printable(formatHostPort(host, port))),
        "write 127.0.0.1:9100 or [::1]:9100");
  }
  return storage;
}

void addMetric(std::string& text, std::string_view name, std::string_view type,
               std::string_view help) {
  text +=
      fmt::format("# HELP actool_seed_{} {}\n# TYPE actool_seed_{} {}\n", name, help, name, type);
}

}  // namespace

std::string metricsText(const Json& status) {
  std::string text;
  const auto total = [&](std::string_view name, std::string_view type, std::string_view help,
                         const Json& value) {
    addMetric(text, name, type, help);
    text += fmt::format("actool_seed_{} {}\n", name, value.dump());
  };
  const Json& images = member(status, "images");
  total("images", "gauge", "Images that are offered.", images.size());
  total("peers", "gauge", "Peers that are connected.", member(status, "peers"));
  total("uploaded_bytes_total", "counter", "Bytes of images given.", member(status, "uploaded"));
  total("upload_rate_bytes", "gauge", "Bytes a second given now.", member(status, "uploadRate"));
  addMetric(text, "image_uploaded_bytes_total", "counter", "Bytes given of one image.");
  for (const Json& image : images) {
    text += fmt::format("actool_seed_image_uploaded_bytes_total{{id=\"{}\"}} {}\n",
                        stringMember(image, "id"), member(image, "uploaded").dump());
  }
  return text;
}

MetricsServer::MetricsServer(const std::string& host, int port) {
  sockaddr_storage address = loopbackAddress(host, port);
  unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD;
  if (address.ss_family == AF_INET6) flags |= MHD_USE_IPv6;
  daemon_ = MHD_start_daemon(flags, 0, nullptr, nullptr, &answerRequest, this, MHD_OPTION_SOCK_ADDR,
                             &address, MHD_OPTION_CONNECTION_LIMIT, kMostClients,
                             MHD_OPTION_CONNECTION_TIMEOUT, kClientSeconds, MHD_OPTION_END);
  if (daemon_ == nullptr) {
    throw Error(fmt::format("--metrics: can't listen at {}", formatHostPort(host, port)));
  }
}

MetricsServer::~MetricsServer() {
  MHD_stop_daemon(daemon_);
}

void MetricsServer::set(std::string text) {
  const std::lock_guard lock(mutex_);
  text_ = std::move(text);
}

std::string MetricsServer::text() const {
  const std::lock_guard lock(mutex_);
  return text_;
}

}  // namespace actool::p2p
