// The dispatcher's list of global options is that of the tools' parser.
#include "core/cli/global_names.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "core/cli/globals.h"
#include "core/cli/options.h"

namespace actool::cli {
namespace {

TEST(GlobalNames, AreThoseThatToolsTake) {
  Globals globals;
  Options options("actool");
  globals.addTo(options);
  std::map<std::string, bool> known;
  for (const GlobalName& name : kGlobalNames)
    known.emplace(name.name, name.takesValue);
  std::map<std::string, bool> taken;
  for (const OptionText& text : options.texts()) {
    for (const std::string& name : text.longNames) {
      if (name == "help") continue;
      taken.emplace("--" + name, options.find("--" + name)->needsValue());
    }
  }
  EXPECT_EQ(known, taken);
}

}  // namespace
}  // namespace actool::cli
