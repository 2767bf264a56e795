#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "run/native/environment.h"

namespace actool::run::native {
namespace {

using testing::ElementsAre;

std::vector<std::string> compose(std::vector<schema::EnvVar> variables, const Identity& identity,
                                 const std::string& term = {}) {
  schema::App app;
  app.environment = std::move(variables);
  return composeEnvironment(schema::AcName::parse("web"), app, identity, term);
}

TEST(Environment, HasTheDefaultsOfTheSpecAndOfRkt) {
  EXPECT_THAT(compose({}, {}),
              ElementsAre("AC_APP_NAME=web", "HOME=/root", "LOGNAME=root",
                          "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                          "SHELL=/bin/sh", "USER=root", "container=actool"));
}

TEST(Environment, KnowsTheImagesUser) {
  const auto environment = compose({},
                                   {.uid = 1000,
                                    .gid = 1000,
                                    .userNamespace = -1,
                                    .shift = 0,
                                    .name = "web",
                                    .home = "/srv/web"},
                                   "xterm");
  EXPECT_THAT(environment,
              testing::IsSupersetOf({"HOME=/srv/web", "LOGNAME=web", "USER=web", "TERM=xterm"}));
}

TEST(Environment, AppOverridesDefaultsButNotWhatItIs) {
  const auto environment = compose(
      {{"PATH", "/app"}, {"X.Y", "a b=c"}, {"AC_APP_NAME", "other"}, {"container", "no"}}, {});
  EXPECT_THAT(environment, testing::IsSupersetOf(
                               {"PATH=/app", "X.Y=a b=c", "AC_APP_NAME=web", "container=actool"}));
  EXPECT_THAT(environment, testing::SizeIs(8));
}

}  // namespace
}  // namespace actool::run::native
