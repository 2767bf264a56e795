// Numbers of a seeder for Prometheus, over HTTP (libmicrohttpd).
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "core/base/json.h"

struct MHD_Daemon;

namespace actool::p2p {

// Prometheus' text format of a seeder's status (Seeder::status()).
std::string metricsText(const Json& status);

// Answers GET /metrics at one address, from a thread of its own.
class MetricsServer {
 public:
  // An address of this machine's loopback only: who may ask is not checked. Throws UsageError for
  // others, Error when it can't listen.
  MetricsServer(const std::string& host, int port);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  // What is answered from now on.
  void set(std::string text);
  std::string text() const;

 private:
  mutable std::mutex mutex_;
  std::string text_;
  MHD_Daemon* daemon_ = nullptr;
};

}  // namespace actool::p2p
