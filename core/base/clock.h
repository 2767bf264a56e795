// Time as an interface, so that expiry and grace periods can be tested without waiting.
#pragma once

#include <chrono>
#include <string>

namespace actool {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::chrono::system_clock::time_point now() const = 0;
};

// The machine's clock; the object lives for ever.
const Clock& systemClock();

// RFC 3339 in UTC with seconds: "2026-11-22T05:50:25Z".
std::string formatRfc3339(std::chrono::system_clock::time_point time);

}  // namespace actool
