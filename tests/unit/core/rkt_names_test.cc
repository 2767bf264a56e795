#include "core/cli/rkt_names.h"

#include <gtest/gtest.h>

namespace actool::cli {
namespace {

using Words = std::vector<std::string>;

TEST(RktNames, MostWordsAreTheSame) {
  for (const Words& words :
       {Words{}, Words{"run", "--net=host", "example.com/a", "--", "trust", "list"},
        Words{"image", "rm", "x"}, Words{"gc"}, Words{"version"}}) {
    EXPECT_EQ(fromRkt(words), words);
  }
}

TEST(RktNames, TrustAddsKeys) {
  EXPECT_EQ(fromRkt({"trust", "--prefix=a.com", "key"}),
            (Words{"trust", "add", "--prefix=a.com", "key"}));
}

TEST(RktNames, ListsAreTablesUnlessAskedOtherwise) {
  EXPECT_EQ(fromRkt({"list", "--full"}), (Words{"list", "--format=table", "--full"}));
  EXPECT_EQ(fromRkt({"list", "--format=json"}), (Words{"list", "--format=json"}));
  EXPECT_EQ(fromRkt({"image", "list"}), (Words{"image", "list", "--format=table"}));
  EXPECT_EQ(fromRkt({"image", "list", "--format", "json"}),
            (Words{"image", "list", "--format", "json"}));
  EXPECT_EQ(fromRkt({"app", "list", "uuid"}), (Words{"app", "list", "--format=table", "uuid"}));
}

TEST(RktNames, FetchPrintsWholeIds) {
  EXPECT_EQ(fromRkt({"fetch", "--full", "a.com/x"}), (Words{"fetch", "--format=id", "a.com/x"}));
  EXPECT_EQ(fromRkt({"fetch", "--full=true", "a.com/x"}),
            (Words{"fetch", "--format=id", "a.com/x"}));
}

}  // namespace
}  // namespace actool::cli
