#include "core/cli/find_tool.h"

#include <unistd.h>

#include <cstdlib>

namespace actool::cli {
namespace {

// A path of the kernel's is at most a page.
constexpr std::size_t kMaxPath = 4096;

void addList(std::vector<std::string>& places, const char* list) {
  if (list == nullptr) return;
  std::string_view rest(list);
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find(':'));
    if (!part.empty()) places.emplace_back(part);
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  }
}

// "/usr" of "/usr/bin"; "/" has no other.
std::string_view parentOf(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {};
  return path.substr(0, slash == 0 ? 1 : slash);
}

}  // namespace

std::string ownProgram(std::string_view group, std::string_view word) {
  for (const OwnProgram& own : kOwnPrograms) {
    if (own.group == group && own.word == word) return std::string(group).append("-").append(word);
  }
  return {};
}

std::vector<std::string> ownPlaces() {
  char binary[kMaxPath];
  const ssize_t length = ::readlink("/proc/self/exe", binary, sizeof binary);
  if (length <= 0) return {};
  const std::string_view own = parentOf({binary, static_cast<std::size_t>(length)});
  return {std::string(parentOf(own)) + "/libexec/actool", std::string(own)};
}

std::vector<std::string> toolPlaces() {
  std::vector<std::string> places;
  addList(places, std::getenv("ACTOOL_EXEC_PATH"));
  for (std::string& place : ownPlaces())
    places.push_back(std::move(place));
  addList(places, std::getenv("PATH"));
  return places;
}

SubcommandTool lookForSubcommand(std::string_view group, std::string_view word) {
  const auto look = [](std::string_view name) {
    return lookForTool(std::string(kToolPrefix).append(name));
  };
  const std::string own = ownProgram(group, word);
  std::string path = own.empty() ? std::string() : look(own);
  if (!path.empty()) return {std::move(path), true};
  return {look(group), false};
}

std::string lookForTool(std::string_view program) {
  for (std::string& place : toolPlaces()) {
    place.append("/").append(program);
    if (::access(place.c_str(), X_OK) == 0) return std::move(place);
  }
  return {};
}

}  // namespace actool::cli
