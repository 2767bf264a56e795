// The environment of an app's processes (spec/ace.md, Execution Environment).
#pragma once

#include <string>
#include <vector>

#include "core/schema/app.h"
#include "core/schema/identifier.h"
#include "run/native/users.h"

namespace actool::run::native {

// "NAME=value" strings, by name. The executor's defaults are PATH, SHELL, USER, LOGNAME and HOME
// as rkt has them (of the image's own user where it names one other than root), then come the
// app's own, then AC_APP_NAME and "container", which an image cannot pretend. TERM is passed on
// when `term` is not empty. AC_METADATA_URL is only there with a metadata service, as in rkt.
std::vector<std::string> composeEnvironment(const schema::AcName& name, const schema::App& app,
                                            const Identity& identity, const std::string& term);

}  // namespace actool::run::native
