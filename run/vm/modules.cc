#include "run/vm/modules.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::run::vm {
namespace {

// "kernel/fs/erofs/erofs.ko.xz" is "erofs"; '-' and '_' are one in names of modules.
std::string moduleName(std::string_view path) {
  std::string_view name = path.substr(path.rfind('/') + 1);
  name = name.substr(0, name.find(".ko"));
  std::string normal(name);
  std::replace(normal.begin(), normal.end(), '-', '_');
  return normal;
}

}  // namespace

std::vector<std::string> modulesToLoad(std::string_view dep, std::string_view builtIn,
                                       const std::vector<std::string>& names) {
  std::map<std::string, std::string_view> lines;
  for (const std::string_view line : split(dep, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos) lines[moduleName(line.substr(0, colon))] = line;
  }
  std::set<std::string> builtInNames;
  for (const std::string_view line : split(builtIn, '\n'))
    builtInNames.insert(moduleName(trim(line)));

  std::vector<std::string> order;
  const auto add = [&](std::string_view path) {
    const std::string text(path);
    if (!text.empty() && std::find(order.begin(), order.end(), text) == order.end()) {
      order.push_back(text);
    }
  };
  for (const std::string& name : names) {
    const auto found = lines.find(name);
    if (found == lines.end()) {
      if (builtInNames.contains(name)) continue;
      throw NotFoundError("it has no module " + name);
    }
    // depmod(8) lists all that a module needs, what is needed first last.
    const std::size_t colon = found->second.find(':');
    std::vector<std::string_view> needed = split(found->second.substr(colon + 1), ' ');
    std::reverse(needed.begin(), needed.end());
    for (const std::string_view one : needed)
      add(trim(one));
    add(found->second.substr(0, colon));
  }
  return order;
}

}  // namespace actool::run::vm
