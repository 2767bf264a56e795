#include "core/base/namespace_name.h"

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace actool {
namespace {

TEST(NamespaceName, IsADirectorysNameToo) {
  for (const std::string& name : {std::string("team"), std::string("a"), std::string("0-9.x_y"),
                                  std::string("default"), std::string(64, 'x')})
    EXPECT_EQ(NamespaceName::parse(name).str(), name);
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string(".x"), std::string("-x"),
        std::string("a/b"), std::string("Team"), std::string("a b"), std::string("t\0m", 3),
        std::string("ü"), std::string("@team"), std::string(65, 'x')}) {
    EXPECT_FALSE(NamespaceName::tryParse(name)) << name;
    EXPECT_THROW(NamespaceName::parse(name), UsageError) << name;
  }
}

TEST(NamespaceName, DefaultIsADefault) {
  EXPECT_TRUE(NamespaceName().isDefault());
  EXPECT_EQ(NamespaceName(), NamespaceName::parse("default"));
  EXPECT_FALSE(NamespaceName::parse("team").isDefault());
}

}  // namespace
}  // namespace actool
