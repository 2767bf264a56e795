#include "fetch/pull_policy.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::fetch {

PullPolicy parsePullPolicy(std::string_view word) {
  for (const PullPolicy policy : {PullPolicy::fetchNew, PullPolicy::update, PullPolicy::never}) {
    if (word == name(policy)) return policy;
  }
  throw UsageError(fmt::format("--pull-policy: \"{}\" is not known", printable(word)),
                   "it is one of new, update, never");
}

std::string_view name(PullPolicy policy) {
  switch (policy) {
    case PullPolicy::update:
      return "update";
    case PullPolicy::never:
      return "never";
    case PullPolicy::fetchNew:
      break;
  }
  return "new";
}

}  // namespace actool::fetch
