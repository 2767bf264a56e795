#include "run/native/environment.h"

namespace actool::run::native {

std::vector<std::string> composeEnvironment(const schema::AcName& name, const schema::App& app,
                                            const Identity& identity, const std::string& term,
                                            const std::map<std::string, std::string>& more) {
  const bool named = identity.uid != 0 && !identity.name.empty();
  std::map<std::string, std::string> variables = {
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
      {"SHELL", "/bin/sh"},
      {"USER", named ? identity.name : "root"},
      {"LOGNAME", named ? identity.name : "root"},
      {"HOME", named && !identity.home.empty() ? identity.home : "/root"},
  };
  if (!term.empty()) variables["TERM"] = term;
  for (const schema::EnvVar& variable : app.environment)
    variables[variable.name] = variable.value;
  variables["AC_APP_NAME"] = name.str();
  variables["container"] = "actool";
  for (const auto& [key, value] : more)
    variables[key] = value;

  std::vector<std::string> environment;
  environment.reserve(variables.size());
  for (const auto& [key, value] : variables)
    environment.push_back(key + "=" + value);
  return environment;
}

}  // namespace actool::run::native
