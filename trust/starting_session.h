// A verifier that starts while other work goes on.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "trust/verifier.h"

namespace actool::trust {

class StartingSession final : public VerifySession {
 public:
  // `start` runs in a thread of its own. What it throws is thrown by the first update(), or by
  // finish().
  explicit StartingSession(std::function<std::unique_ptr<VerifySession>()> start)
      : starting_(std::async(std::launch::async, std::move(start))) {}

  bool ready() override {
    return !starting_.valid() ||
           starting_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
  void update(std::span<const std::byte> bytes) override { session().update(bytes); }
  std::vector<Signer> finish() override { return session().finish(); }

 private:
  VerifySession& session() {
    if (starting_.valid()) session_ = starting_.get();
    if (!session_) throw Error("the verifier did not start");
    return *session_;
  }

  std::future<std::unique_ptr<VerifySession>> starting_;
  std::unique_ptr<VerifySession> session_;
};

}  // namespace actool::trust
