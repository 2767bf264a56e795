#include "core/cli/rkt_names.h"

#include <algorithm>

namespace actool::cli {
namespace {

// Up to "--", after which words are an app's own.
bool hasOption(const std::vector<std::string>& words, const std::string& name) {
  const auto end = std::find(words.begin(), words.end(), "--");
  return std::any_of(words.begin(), end, [&](const std::string& word) {
    return word == name || word.starts_with(name + "=");
  });
}

void addFormat(std::vector<std::string>& words, std::size_t at, const std::string& format) {
  if (hasOption(words, "--format")) return;
  words.insert(words.begin() + static_cast<std::ptrdiff_t>(at), "--format=" + format);
}

}  // namespace

std::vector<std::string> fromRkt(std::vector<std::string> words) {
  if (words.empty()) return words;
  const std::string& first = words[0];
  const std::string second = words.size() > 1 ? words[1] : "";
  if (first == "trust") {
    words.insert(words.begin() + 1, "add");
  } else if (first == "fetch") {
    std::erase_if(words, [](const std::string& word) { return word.starts_with("--full"); });
    addFormat(words, 1, "id");
  } else if (first == "list") {
    addFormat(words, 1, "table");
  } else if ((first == "image" || first == "app") && second == "list") {
    addFormat(words, 2, "table");
  }
  return words;
}

std::string versionText() {
  return std::string("actool Version: ") + ACTOOL_VERSION +
         "\n"
         "appc Version: 0.8.11\n";
}

}  // namespace actool::cli
