#include <linux/capability.h>

#include "core/schema/isolator.h"
#include "run/native/capabilities.h"
#include "tests/unit/run/native_test_support.h"

namespace actool::run::native {
namespace {

TEST(Capabilities, DefaultSetIsThatOfTheSpec) {
  // The 14 of spec/ace.md as the kernel shows them in /proc/PID/status.
  EXPECT_EQ(capabilityMask(schema::defaultCapabilities()), 0xa80425fbULL);
}

TEST(Capabilities, MaskHasOneBitForEach) {
  EXPECT_EQ(capabilityMask({}), 0U);
  EXPECT_EQ(capabilityMask({"CAP_CHOWN"}), 1U << CAP_CHOWN);
  EXPECT_EQ(capabilityMask({"CAP_NET_ADMIN", "CAP_KILL"}), 1U << CAP_NET_ADMIN | 1U << CAP_KILL);
}

TEST(Capabilities, UnknownNameIsRefused) {
  EXPECT_EQ(messageOf([] { capabilityMask({"CAP_FLY"}); }),
            "there is no capability \"CAP_FLY\" on this system");
}

}  // namespace
}  // namespace actool::run::native
