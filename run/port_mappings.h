// The ports of a pod that are to be reached from outside.
#pragma once

#include "core/base/json.h"
#include "core/schema/pod_manifest.h"

namespace actool::run {

// What the manifest's "ports" expose, as CNI has it: [{"hostPort": 8080, "containerPort": 80,
// "protocol": "tcp", "hostIP": "192.0.2.1"}, ...], the last only where one was given. Throws Error
// when no app has the port.
Json portMappings(const schema::PodManifest& pod);

}  // namespace actool::run
