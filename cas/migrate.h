// Stores of older versions, brought to the present one step by step. docs/store-format.md,
// Versions.
#pragma once

#include "cas/layout.h"

namespace actool::cas {

// Takes the store's lock. Does nothing to a store of the present version. Killed at any instant,
// the store is as it was, or as it is after one of the steps, and the next call goes on.
void migrateStore(const StoreLayout& layout);

}  // namespace actool::cas
