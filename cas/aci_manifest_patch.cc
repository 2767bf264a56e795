#include "cas/aci_manifest_patch.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "cas/aci_path.h"
#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

constexpr std::string_view kRetainCaps = "os/linux/capabilities-retain-set";
constexpr std::string_view kRemoveCaps = "os/linux/capabilities-remove-set";
constexpr std::string_view kRetainSeccomp = "os/linux/seccomp-retain-set";
constexpr std::string_view kRemoveSeccomp = "os/linux/seccomp-remove-set";

// "NAME,key=value,flag": the name and the pairs behind it; a word without '=' has no value.
struct NamedPairs {
  std::string name;
  std::vector<std::pair<std::string, std::optional<std::string>>> pairs;
};

NamedPairs parsePairs(std::string_view text) {
  NamedPairs result;
  bool first = true;
  for (std::string_view word : split(text, ',')) {
    if (std::exchange(first, false)) {
      result.name = word;
      continue;
    }
    const std::size_t equals = word.find('=');
    if (equals == word.npos) {
      result.pairs.emplace_back(word, std::nullopt);
    } else {
      result.pairs.emplace_back(word.substr(0, equals), std::string(word.substr(equals + 1)));
    }
    for (std::size_t i = 0; i + 1 < result.pairs.size(); ++i) {
      if (result.pairs[i].first == result.pairs.back().first) {
        throw UsageError(inQuotes(result.pairs[i].first) + " is given twice");
      }
    }
  }
  return result;
}

bool parseBool(const std::string& text) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  throw UsageError(inQuotes(text) + " is neither true nor false");
}

std::uint64_t parseNumber(const std::string& text) {
  if (const auto value = parseUint(text)) return *value;
  throw UsageError(inQuotes(text) + " is no number");
}

Json words(std::string_view text, char separator) {
  Json list = Json::array();
  for (std::string_view word : split(text, separator))
    list.push_back(std::string(word));
  return list;
}

// Takes out of the list `app[member]` what has one of these names, and appends `item`.
void putNamed(Json& app, const char* member, Json item,
              std::initializer_list<std::string_view> names) {
  Json list = Json::array();
  if (app.contains(member)) {
    for (const Json& old : app[member]) {
      const std::string name = old.value("name", "");
      if (std::find(names.begin(), names.end(), name) == names.end()) list.push_back(old);
    }
  }
  list.push_back(std::move(item));
  app[member] = std::move(list);
}

void putMount(Json& app, std::string_view text) {
  const NamedPairs given = parsePairs(text);
  Json mount = {{"name", given.name}};
  for (const auto& [key, value] : given.pairs) {
    if (key == "path" && value) {
      mount["path"] = *value;
    } else if (key == "readOnly" && value) {
      mount["readOnly"] = parseBool(*value);
    } else {
      throw UsageError(inQuotes(key) + " is none of path=, readOnly=");
    }
  }
  putNamed(app, "mountPoints", std::move(mount), {given.name});
}

void putPort(Json& app, std::string_view text) {
  const NamedPairs given = parsePairs(text);
  Json port = {{"name", given.name}};
  for (const auto& [key, value] : given.pairs) {
    if (key == "protocol" && value) {
      port[key] = *value;
    } else if ((key == "port" || key == "count") && value) {
      port[key] = parseNumber(*value);
    } else if (key == "socketActivated" && value) {
      port[key] = parseBool(*value);
    } else {
      throw UsageError(inQuotes(key) + " is none of protocol=, port=, count=, socketActivated=");
    }
  }
  putNamed(app, "ports", std::move(port), {given.name});
}

void putIsolator(Json& app, std::string_view text) {
  const NamedPairs given = parsePairs(text);
  Json value;
  if (given.name.starts_with("resource/")) {
    value = Json::object();
    for (const auto& [key, quantity] : given.pairs) {
      if ((key != "request" && key != "limit" && key != "default") || !quantity) {
        throw UsageError(inQuotes(key) + " is none of request=, limit=, default=");
      }
      if (key == "default") {
        value[key] = parseBool(*quantity);
      } else {
        value[key] = *quantity;
      }
    }
  } else if (given.name == "os/linux/no-new-privileges" || given.name == "os/linux/oom-score-adj") {
    if (given.pairs.size() != 1 || given.pairs[0].second) {
      throw UsageError("the form is " + given.name + ",VALUE");
    }
    const std::string& word = given.pairs[0].first;
    if (given.name == "os/linux/no-new-privileges") {
      value = parseBool(word);
    } else {
      const bool negative = word.starts_with('-');
      const auto number = static_cast<std::int64_t>(parseNumber(negative ? word.substr(1) : word));
      value = negative ? -number : number;
    }
  } else {
    throw UsageError("the isolator " + inQuotes(given.name) + " can't be set this way",
                     "there are options for capabilities and seccomp, and --manifest for the rest");
  }
  putNamed(app, "isolators", {{"name", given.name}, {"value", std::move(value)}}, {given.name});
}

void putSeccomp(Json& app, std::string_view modeText, const std::string& set) {
  std::string mode;
  std::optional<std::string> errorName;
  for (std::string_view word : split(modeText, ',')) {
    if (word.starts_with("errno=")) {
      errorName = word.substr(6);
    } else if (mode.empty() && (word == "remove" || word == "retain")) {
      mode = word;
    } else {
      throw UsageError(inQuotes(word) + " is none of remove, retain, errno=");
    }
  }
  if (mode.empty()) throw UsageError("either remove or retain has to be given");
  Json value = {{"set", words(set, ',')}};
  if (errorName) value["errno"] = *errorName;
  const std::string_view name = mode == "remove" ? kRemoveSeccomp : kRetainSeccomp;
  putNamed(app, "isolators", {{"name", name}, {"value", std::move(value)}},
           {kRemoveSeccomp, kRetainSeccomp});
}

template <typename Fn>
void option(std::string_view name, const std::optional<std::string>& value, Fn&& apply) {
  if (value) withContext("--" + std::string(name) + " " + inQuotes(*value), [&] { apply(*value); });
}

}  // namespace

bool ManifestPatch::empty() const {
  return !name && !exec && !user && !group && !supplementaryGroups && !capabilities &&
         !revokeCapabilities && !mounts && !ports && !isolators && !seccompMode && !seccompSet;
}

schema::ImageManifest applyPatch(const schema::ImageManifest& manifest,
                                 const ManifestPatch& patch) {
  if (patch.capabilities && patch.revokeCapabilities) {
    throw UsageError("--capability and --revoke-capability exclude each other");
  }
  if (patch.seccompSet && !patch.seccompMode) {
    throw UsageError("--seccomp-set needs --seccomp-mode");
  }
  Json object = manifest.toJson();
  option("name", patch.name, [&](const std::string& text) {
    object["name"] = schema::AcIdentifier::parse(text).str();
  });

  ManifestPatch appPatch = patch;
  appPatch.name.reset();
  if (appPatch.empty()) return schema::ImageManifest::fromJson(object);
  if (!object.contains("app")) {
    if (!patch.exec) {
      throw UsageError("the manifest has no app to be changed", "give it one with --exec");
    }
    // The user has to be somebody; root is who owns the files of most images.
    object["app"] = {{"exec", Json::array()}, {"user", "0"}, {"group", "0"}};
  }
  Json& app = object["app"];
  option("exec", patch.exec, [&](const std::string& text) { app["exec"] = words(text, ' '); });
  option("user", patch.user, [&](const std::string& text) { app["user"] = text; });
  option("group", patch.group, [&](const std::string& text) { app["group"] = text; });
  option("supplementary-groups", patch.supplementaryGroups, [&](const std::string& text) {
    Json list = Json::array();
    for (std::string_view gid : split(text, ','))
      list.push_back(parseNumber(std::string(gid)));
    app["supplementaryGIDs"] = std::move(list);
  });
  const auto putCapabilities = [&](std::string_view name) {
    return [&app, name](const std::string& text) {
      putNamed(app, "isolators", {{"name", name}, {"value", {{"set", words(text, ',')}}}},
               {kRetainCaps, kRemoveCaps});
    };
  };
  option("capability", patch.capabilities, putCapabilities(kRetainCaps));
  option("revoke-capability", patch.revokeCapabilities, putCapabilities(kRemoveCaps));
  option("mounts", patch.mounts, [&](const std::string& text) {
    for (std::string_view one : split(text, ':'))
      putMount(app, one);
  });
  option("ports", patch.ports, [&](const std::string& text) {
    for (std::string_view one : split(text, ':'))
      putPort(app, one);
  });
  option("seccomp-mode", patch.seccompMode,
         [&](const std::string& text) { putSeccomp(app, text, patch.seccompSet.value_or("")); });
  option("isolators", patch.isolators, [&](const std::string& text) {
    for (std::string_view one : split(text, ':'))
      putIsolator(app, one);
  });
  return withContext("the patched manifest",
                     [&] { return schema::ImageManifest::fromJson(object); });
}

}  // namespace actool::cas
