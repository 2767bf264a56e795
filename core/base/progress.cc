#include "core/base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>

#include "core/base/json.h"
#include "core/base/strings.h"

namespace actool {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct State {
  std::uint64_t done = 0;
  std::optional<std::uint64_t> total;
};

void toStderr(std::string_view text) {
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, text.data(), text.size());
}

// Rate limiting and bookkeeping; what a state looks like is the derived class's.
class LimitedProgress : public Progress {
 public:
  LimitedProgress(std::string label, std::chrono::milliseconds interval)
      : label_(std::move(label)), interval_(interval), started_(SteadyClock::now()) {}

  void update(std::uint64_t done, std::optional<std::uint64_t> total) override {
    first_ = std::min(first_.value_or(done), done);  // what was resumed may turn out to be unfit
    state_ = {done, total};
    const auto now = SteadyClock::now();
    if (now - lastDrawn_ < interval_) return;
    lastDrawn_ = now;
    draw(state_, false);
  }

  void finish() override {
    if (finished_) return;
    finished_ = true;
    draw(state_, true);
  }

 protected:
  virtual void draw(const State& state, bool last) = 0;
  const std::string& label() const { return label_; }

  double bytesPerSecond() const {
    const std::chrono::duration<double> elapsed = SteadyClock::now() - started_;
    const std::uint64_t begun = first_.value_or(0);
    return elapsed.count() > 0 ? static_cast<double>(state_.done - begun) / elapsed.count() : 0;
  }

  std::string text(const State& state) const {
    const std::string speed = formatByteSize(static_cast<std::uint64_t>(bytesPerSecond())) + "/s";
    if (!state.total || *state.total == 0) {
      return fmt::format("{}: {} {}", label_, formatByteSize(state.done), speed);
    }
    const double percent =
        100.0 * static_cast<double>(state.done) / static_cast<double>(*state.total);
    return fmt::format("{}: {} of {} ({:.0f}%) {}", label_, formatByteSize(state.done),
                       formatByteSize(*state.total), percent, speed);
  }

 private:
  std::string label_;
  std::chrono::milliseconds interval_;
  SteadyClock::time_point started_;
  SteadyClock::time_point lastDrawn_{};
  State state_;
  std::optional<std::uint64_t> first_;  // where a resumed transfer began
  bool finished_ = false;
};

// Several pieces of work share the terminal: one line each, redrawn as a block.
class TerminalBoard {
 public:
  static TerminalBoard& instance() {
    static TerminalBoard board;
    return board;
  }

  int add() {
    const std::lock_guard lock(mutex_);
    return nextId_++;
  }

  void draw(int id, const std::string& line, bool last) {
    const std::lock_guard lock(mutex_);
    std::string out;
    if (drawnLines_ > 0) out += fmt::format("\x1b[{}A\r", drawnLines_);
    if (last) {
      // A finished line moves above the block and stays.
      out += line + "\x1b[K\n";
      lines_.erase(id);
    } else {
      lines_[id] = line;
    }
    for (const auto& [unused, shown] : lines_)
      out += shown + "\x1b[K\n";
    out += "\x1b[J";
    drawnLines_ = lines_.size();
    toStderr(out);
  }

 private:
  std::mutex mutex_;
  std::map<int, std::string> lines_;
  std::size_t drawnLines_ = 0;
  int nextId_ = 0;
};

class TerminalProgress final : public LimitedProgress {
 public:
  explicit TerminalProgress(std::string label)
      : LimitedProgress(std::move(label), std::chrono::milliseconds(100)),
        id_(TerminalBoard::instance().add()) {}

 private:
  void draw(const State& state, bool last) override {
    TerminalBoard::instance().draw(id_, text(state), last);
  }
  int id_;
};

class PlainProgress final : public LimitedProgress {
 public:
  explicit PlainProgress(std::string label)
      : LimitedProgress(std::move(label), std::chrono::seconds(1)) {}

 private:
  void draw(const State& state, bool) override { toStderr(text(state) + "\n"); }
};

class JsonProgress final : public LimitedProgress {
 public:
  explicit JsonProgress(std::string label)
      : LimitedProgress(std::move(label), std::chrono::seconds(1)) {}

 private:
  void draw(const State& state, bool last) override {
    Json line{{"kind", "progress"}, {"label", label()}, {"done", state.done}, {"finished", last}};
    if (state.total) line["total"] = *state.total;
    toStderr(dumpLine(line) + "\n");
  }
};

class NoProgress final : public Progress {
 public:
  void update(std::uint64_t, std::optional<std::uint64_t>) override {}
  void finish() override {}
};

}  // namespace

std::optional<ProgressMode> parseProgressMode(std::string_view text) {
  if (text == "auto") return ProgressMode::automatic;
  if (text == "plain") return ProgressMode::plain;
  if (text == "json") return ProgressMode::json;
  if (text == "none") return ProgressMode::none;
  return std::nullopt;
}

std::string_view name(ProgressMode mode) {
  switch (mode) {
    case ProgressMode::automatic:
      return "auto";
    case ProgressMode::plain:
      return "plain";
    case ProgressMode::json:
      return "json";
    case ProgressMode::none:
      break;
  }
  return "none";
}

std::unique_ptr<Progress> makeProgress(ProgressMode mode, std::string label) {
  switch (mode) {
    case ProgressMode::automatic:
      if (::isatty(STDERR_FILENO) == 1) return std::make_unique<TerminalProgress>(std::move(label));
      break;
    case ProgressMode::plain:
      return std::make_unique<PlainProgress>(std::move(label));
    case ProgressMode::json:
      return std::make_unique<JsonProgress>(std::move(label));
    case ProgressMode::none:
      break;
  }
  return std::make_unique<NoProgress>();
}

}  // namespace actool
