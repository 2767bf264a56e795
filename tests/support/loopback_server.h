// A small HTTP server on a loopback port, in a thread of the test, for tests of the real
// client. One request per connection, one connection at a time.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/fd.h"
#include "tests/support/page.h"
#include "tests/support/test_certificate.h"

namespace actool::test {

class LoopbackServer {
 public:
  LoopbackServer();                                             // plain http
  explicit LoopbackServer(const TestCertificate& certificate);  // https
  ~LoopbackServer();
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  // Answers requests for `path` ("/a?b") from now on; other paths answer 404.
  void put(const std::string& path, Page page);
  // Accepts requests for `path`, and never answers.
  void stall(const std::string& path);

  // "http://127.0.0.1:PORT/path"; with another name of the same machine when asked.
  std::string url(const std::string& path, const std::string& host = "127.0.0.1") const;
  int port() const { return port_; }

  struct Seen {
    std::string path;
    Headers headers;
  };
  std::vector<Seen> seen() const;

 private:
  class Connection;
  void listen();
  void run();
  void serve(Connection& connection);

  OpenSslPtr<SSL_CTX> tls_;
  UniqueFd listener_;
  Pipe stop_;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, Page> pages_;
  std::map<std::string, bool> stalled_;
  std::vector<Seen> seen_;
  std::thread thread_;
};

}  // namespace actool::test
