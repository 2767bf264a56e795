// The options of `run` that stand for isolators of an app, in rkt's spelling.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/schema/app.h"

namespace actool::cli {
class Options;
}

namespace actool::run {

// As given; what is not given leaves the image's as it is.
struct IsolatorOptions {
  std::optional<std::string> memory;
  std::optional<std::string> cpu;
  std::optional<std::string> cpuShares;
  std::optional<std::string> oomScoreAdj;
  std::optional<std::string> seccomp;  // "mode=retain,errno=EPERM,chmod,chown"
  std::vector<std::string> capsRetain;
  std::vector<std::string> capsRemove;
  bool noNewPrivileges = false;
};

// Adds --memory, --cpu, --cpu-shares, --caps-retain, --caps-remove, --seccomp, --oom-score-adj and
// --no-new-privileges; the values go to `options`, which has to live until they are parsed.
void addIsolatorOptions(cli::Options& app, IsolatorOptions& options, const std::string& group);

// Replaces what the app has of the kinds that were given: each of the options for capabilities
// replaces both sets, and so does --seccomp. Throws UsageError naming the option.
void applyIsolatorOptions(const IsolatorOptions& options, schema::App& app);

}  // namespace actool::run
