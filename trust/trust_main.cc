#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "core/base/fs.h"
#include "trust/commands.h"

namespace {

// rkt has no "add": `rkt trust --prefix example.com KEY`. What people wrote for it goes on
// working: an option of "trust add" where the subcommand should be means that one.
bool lacksAdd(const std::vector<char*>& args) {
  constexpr std::array<std::string_view, 4> kWords{"add", "list", "rm", "disable"};
  if (args.empty() || actool::Path(args[0]).filename() != "actool-trust") return false;
  for (std::size_t i = 1; i < args.size(); ++i) {
    const std::string_view arg = args[i];
    if (std::find(kWords.begin(), kWords.end(), arg) != kWords.end()) return false;
    if (arg == "--prefix" || arg.starts_with("--prefix=") || arg == "--root" ||
        arg == "--skip-fingerprint-review") {
      return true;
    }
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<char*> args(argv, argv + argc);
  char add[] = "add";
  if (lacksAdd(args)) args.insert(args.begin() + 1, add);
  namespace trust = actool::trust;
  return actool::cli::toolMain(static_cast<int>(args.size()), args.data(),
                               {"actool-trust",
                                "Manages the keys that are trusted to sign images.",
                                {trust::addCommand(), trust::listCommand(), trust::rmCommand(),
                                 trust::disableCommand(), trust::verifyCommand()}});
}
