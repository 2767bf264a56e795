// The `attach` entry point: the caller's standard streams joined to those of an app.
#pragma once

#include <string>
#include <vector>

namespace actool::run::native {

struct AttachOptions {
  std::string app;
  bool list = false;
  std::vector<std::string> endpoints;  // empty: all that the app has
};

// --action=list|auto-attach|custom-attach --app=NAME [--debug] [--tty-in=B] [--tty-out=B]
// [--stdin=B]
// [--stdout=B] [--stderr=B]. Throws UsageError.
AttachOptions parseAttachOptions(const std::vector<std::string>& arguments);

// Lists the endpoints on standard output, or copies until the app ends; returns the exit code. At a
// terminal of the app's, Ctrl-] typed three times leaves the app alone again. The working directory
// is the pod's.
int attachTo(const AttachOptions& options);

}  // namespace actool::run::native
