// Which IDs of the host a pod's are (--private-users), on record in the pod's directory.
#pragma once

#include <optional>

#include "core/base/uuid.h"
#include "run/pod.h"
#include "run/user_namespace.h"

namespace actool::run {

// rkt's: what images may have as owners.
inline constexpr std::uint32_t kIdsOfPod = 65536;

// A range for a new pod that no pod on record has: one that both /etc/subuid and /etc/subgid give
// the name "actool", when they have it; else one of those systemd-nspawn picks from (524288 to
// 1878982656), and in none of these files. Written to the pod's directory. Error when all are
// taken.
void assignIdRange(const Pod& pod, const PodsLayout& pods);

// The pod's; nothing when its IDs are the host's.
std::optional<IdRange> idRangeOf(const PodLayout& pod);

}  // namespace actool::run
