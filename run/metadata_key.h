// What a pod with a metadata service gets from stage0 (docs/native.md, Metadata service).
#pragma once

#include <string>

#include "cas/layout.h"
#include "run/pod.h"

namespace actool::run {

// Gives the pod a copy of the key of this data directory, which is made when it is missing, and
// returns a new token: 256 random bits in hex.
std::string prepareMetadata(const Pod& pod, const cas::StoreLayout& store);

}  // namespace actool::run
