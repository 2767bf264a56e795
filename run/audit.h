// The line of the store's audit log for a pod that is run.
#pragma once

#include "cas/layout.h"
#include "core/schema/pod_manifest.h"
#include "run/pod.h"

namespace actool::run {

// To be called when nothing but exec is left. Not flushed to disk, which would take longer than all
// else that a run does.
void auditRun(const cas::StoreLayout& store, const Pod& pod,
              const schema::PodManifest& manifest) noexcept;

}  // namespace actool::run
