#pragma once

#include "cas/stored_image.h"

namespace actool::cas {

// Who runs this process: its real user, and who called sudo if that was how. Asks the account
// database, which may be a network's.
Person thisPerson();

}  // namespace actool::cas
