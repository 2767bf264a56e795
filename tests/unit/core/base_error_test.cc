#include <gtest/gtest.h>

#include <cerrno>

#include "core/base/error.h"

namespace actool {
namespace {

TEST(Error, SaysContextThenReasonThenHint) {
  Error error("the signature is missing", "sign it with gpg");
  error.addContext("web.aci.asc");
  error.addContext("fetching example.com/web");
  EXPECT_STREQ(error.what(),
               "fetching example.com/web: web.aci.asc: the signature is missing; sign it with gpg");
  EXPECT_EQ(error.code(), ExitCode::failure);
}

TEST(Error, CodesAreTheDocumentedOnes) {
  EXPECT_EQ(static_cast<int>(InUseError("x").code()), 250);
  EXPECT_EQ(static_cast<int>(NetworkError("x").code()), 251);
  EXPECT_EQ(static_cast<int>(NotFoundError("x").code()), 252);
  EXPECT_EQ(static_cast<int>(TrustError("x").code()), 253);
  EXPECT_EQ(static_cast<int>(UsageError("x").code()), 254);
}

TEST(Error, SystemErrorsNameTheCause) {
  EXPECT_STREQ(SystemError(EACCES, "opening /x").what(), "opening /x: Permission denied");
  EXPECT_EQ(SystemError(ENOENT, "opening /x").code(), ExitCode::notFound);
  EXPECT_NE(std::string(SystemError(ENOSPC, "writing /x").what()).find("; make room"),
            std::string::npos);
}

TEST(Error, WithContextAddsOnTheWayUpAndKeepsTheType) {
  try {
    withContext("outer", [] { withContext("inner", [] { throw TrustError("no"); }); });
    FAIL() << "nothing was thrown";
  } catch (const TrustError& error) {
    EXPECT_STREQ(error.what(), "outer: inner: no");
  }
  EXPECT_EQ(withContext("fine", [] { return 7; }), 7);
}

}  // namespace
}  // namespace actool
