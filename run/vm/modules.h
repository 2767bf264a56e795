// Which files of /lib/modules/RELEASE the guest has to load, and in which order.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace actool::run::vm {

// `dep` and `builtIn` are the texts of modules.dep and modules.builtin. For the modules called
// `names`
// ("virtio_blk"): the paths of their files relative to the directory, each after those it needs,
// none twice. What is built into the kernel is left out. Throws NotFoundError for a module that is
// neither.
std::vector<std::string> modulesToLoad(std::string_view dep, std::string_view builtIn,
                                       const std::vector<std::string>& names);

}  // namespace actool::run::vm
