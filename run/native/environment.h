// The environment of an app's processes (spec/ace.md, Execution Environment).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/schema/app.h"
#include "core/schema/identifier.h"
#include "run/native/users.h"

namespace actool::run::native {

// "NAME=value" strings, by name. The executor's defaults are PATH, SHELL, USER, LOGNAME and HOME
// as rkt has them (of the image's own user where it names one other than root), then come the
// app's own, then AC_APP_NAME and "container", which an image cannot pretend. TERM is passed on
// when `term` is not empty. `more` are further variables that an image cannot pretend.
// AC_METADATA_URL is only among them with a metadata service, as in rkt.
std::vector<std::string> composeEnvironment(const schema::AcName& name, const schema::App& app,
                                            const Identity& identity, const std::string& term,
                                            const std::map<std::string, std::string>& more = {});

}  // namespace actool::run::native
