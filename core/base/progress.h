// Progress of long work, for people on a terminal (one line redrawn in place), as plain
// lines, as JSON lines (one object a line on stderr), or not at all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace actool {

enum class ProgressMode { automatic, plain, json, none };

std::optional<ProgressMode> parseProgressMode(std::string_view text);  // "auto" and so on
std::string_view name(ProgressMode mode);

// One piece of work. Calls may come often and from any one thread; drawing is limited to
// ten times a second (plain and JSON: once a second).
class Progress {
 public:
  virtual ~Progress() = default;
  // `total` in bytes when known. `done` counts from 0, resumed bytes included.
  virtual void update(std::uint64_t done, std::optional<std::uint64_t> total) = 0;
  // The work is over; draws its last state once.
  virtual void finish() = 0;
};

// Draws on standard error. automatic is a redrawn line on a terminal and nothing
// elsewhere. `label` names the work ("example.com/web:1.0.0").
std::unique_ptr<Progress> makeProgress(ProgressMode mode, std::string label);

}  // namespace actool
