#include "tests/support/loopback_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <csignal>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::test {

// One accepted connection, with or without TLS. A client that goes away is none of its errors.
class LoopbackServer::Connection {
 public:
  Connection(UniqueFd fd, SSL_CTX* tls) : fd_(std::move(fd)) {
    if (tls == nullptr) return;
    ssl_.reset(SSL_new(tls));
    SSL_set_fd(ssl_.get(), fd_.get());
    good_ = SSL_accept(ssl_.get()) == 1;
  }

  // The request's head, up to the empty line; empty when none came.
  std::string readHead() {
    std::string head;
    char buffer[4096];
    while (good_ && head.find("\r\n\r\n") == std::string::npos && head.size() < 65536) {
      const long n = ssl_ ? SSL_read(ssl_.get(), buffer, sizeof buffer)
                          : recv(fd_.get(), buffer, sizeof buffer, 0);
      if (n <= 0) return {};
      head.append(buffer, static_cast<std::size_t>(n));
      if (head[0] != 'G') return {};  // no GET: a TLS client, say, that would wait for an answer
    }
    return head;
  }

  void write(std::string_view text) {
    while (!text.empty()) {
      const std::size_t piece = std::min<std::size_t>(text.size(), 1 << 16);
      const long n = ssl_ ? SSL_write(ssl_.get(), text.data(), static_cast<int>(piece))
                          : send(fd_.get(), text.data(), piece, MSG_NOSIGNAL);
      if (n <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  void finish() {
    if (ssl_) SSL_shutdown(ssl_.get());
  }

 private:
  UniqueFd fd_;
  OpenSslPtr<SSL> ssl_;
  bool good_ = true;
};

namespace {

Headers parseHeaders(std::string_view head) {
  Headers headers;
  for (const std::string_view line : split(head, '\n')) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string name(line.substr(0, colon));
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    headers[name] = trim(line.substr(colon + 1));
  }
  return headers;
}

}  // namespace

LoopbackServer::LoopbackServer() {
  listen();
}

LoopbackServer::LoopbackServer(const TestCertificate& certificate)
    : tls_(certificate.serverContext()) {
  listen();
}

LoopbackServer::~LoopbackServer() {
  writeAll(stop_.write.get(), "x", "the stop pipe");
  thread_.join();
}

void LoopbackServer::listen() {
  // OpenSSL writes with write(2), which has no MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_IGN);
  stop_ = makePipe();
  listener_.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (!listener_ || bind(listener_.get(), raw, size) != 0 || ::listen(listener_.get(), 16) != 0 ||
      getsockname(listener_.get(), raw, &size) != 0) {
    throwErrno("listening on loopback");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

void LoopbackServer::put(const std::string& path, Page page) {
  std::lock_guard lock(mutex_);
  pages_.insert_or_assign(path, std::move(page));
}

void LoopbackServer::stall(const std::string& path) {
  std::lock_guard lock(mutex_);
  stalled_[path] = true;
}

std::string LoopbackServer::url(const std::string& path, const std::string& host) const {
  return fmt::format("{}://{}:{}{}", tls_ ? "https" : "http", host, port_, path);
}

std::vector<LoopbackServer::Seen> LoopbackServer::seen() const {
  std::lock_guard lock(mutex_);
  return seen_;
}

void LoopbackServer::run() {
  for (;;) {
    pollfd fds[2] = {{listener_.get(), POLLIN, 0}, {stop_.read.get(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) continue;
    if (fds[1].revents != 0) return;
    UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    Connection connection(std::move(fd), tls_.get());
    serve(connection);
  }
}

void LoopbackServer::serve(Connection& connection) {
  const std::string head = connection.readHead();
  const auto parts = split(std::string_view(head).substr(0, head.find('\r')), ' ');
  if (parts.size() != 3) return;
  const std::string path(parts[1]);
  const Headers request = parseHeaders(head);
  Page page{.status = 404, .body = "not here"};
  bool stalled = false;
  {
    std::lock_guard lock(mutex_);
    seen_.push_back({path, request});
    if (const auto found = pages_.find(path); found != pages_.end()) page = found->second;
    stalled = stalled_.contains(path);
  }
  if (stalled) {
    pollfd stop = {stop_.read.get(), POLLIN, 0};
    poll(&stop, 1, -1);
    return;
  }
  const Answer given = answer(page, request);
  std::string out = fmt::format("HTTP/1.1 {} Test\r\nConnection: close\r\n", given.status);
  for (const auto& [name, value] : given.headers) {
    out += fmt::format("{}: {}\r\n", name, value);
  }
  connection.write(out + "\r\n");
  connection.write(
      std::string_view(given.body).substr(0, given.breakAfter.value_or(std::string::npos)));
  if (!given.breakAfter) connection.finish();
}

}  // namespace actool::test
