#include <gtest/gtest.h>
#include <sys/socket.h>

#include "core/base/error.h"
#include "core/base/unix_socket.h"

namespace actool {
namespace {

TEST(UnixSocket, ConnectsToWhoListens) {
  const TempDir dir(tempRoot(), "socket.");
  const Path path = dir.path() / "s";
  EXPECT_FALSE(connectUnix(path, SOCK_STREAM));
  UniqueFd listening = listenUnix(path, SOCK_STREAM, 1);
  const UniqueFd client = connectUnix(path, SOCK_STREAM);
  ASSERT_TRUE(client);
  const UniqueFd server(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  writeAll(client.get(), "hello", "the server");
  ASSERT_EQ(::shutdown(client.get(), SHUT_WR), 0);
  EXPECT_EQ(readAll(server.get(), 100, "the client"), "hello");
  listening.reset();
  EXPECT_FALSE(connectUnix(path, SOCK_STREAM));  // what it left behind
}

TEST(UnixSocket, ReplacesWhatIsThere) {
  const TempDir dir(tempRoot(), "socket.");
  const Path path = dir.path() / "s";
  writeFilePlain(path, "a file");
  const UniqueFd listening = listenUnix(path, SOCK_SEQPACKET, 1);
  EXPECT_TRUE(connectUnix(path, SOCK_SEQPACKET));
  EXPECT_THROW(connectUnix(path, SOCK_STREAM), SystemError);  // of another type
}

TEST(UnixSocket, RefusesPathsThatAreTooLong) {
  const Path path = std::string(108, 'x');
  EXPECT_THROW(listenUnix(path, SOCK_STREAM, 1), UsageError);
  EXPECT_THROW(connectUnix(path, SOCK_STREAM), UsageError);
}

}  // namespace
}  // namespace actool
