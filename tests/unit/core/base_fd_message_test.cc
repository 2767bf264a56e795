// Messages with a descriptor, between two ends of real sockets.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>

#include "core/base/error.h"
#include "core/base/fd_message.h"

namespace actool {
namespace {

struct FdMessages : ::testing::Test {
  void SetUp() override {
    std::array<int, 2> fds{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()), 0);
    here.reset(fds[0]);
    there.reset(fds[1]);
  }

  // Several descriptors beside one byte, as no code of ours sends them.
  void sendMany(std::array<int, 2> fds) const {
    char byte = 'x';
    iovec part{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fds)> control{};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* attached = CMSG_FIRSTHDR(&header);
    attached->cmsg_level = SOL_SOCKET;
    attached->cmsg_type = SCM_RIGHTS;
    attached->cmsg_len = CMSG_LEN(sizeof fds);
    std::memcpy(CMSG_DATA(attached), fds.data(), sizeof fds);
    ASSERT_EQ(::sendmsg(here.get(), &header, 0), 1);
  }

  UniqueFd here;
  UniqueFd there;
  std::array<char, 16> buffer{};
};

std::ptrdiff_t openDescriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

TEST_F(FdMessages, ofOneThatLeftWithoutReadingItsOwn) {
  ASSERT_TRUE(sendMessage(here.get(), "unread", -1, "it"));
  ASSERT_TRUE(sendMessage(there.get(), "last words", -1, "it"));
  there.reset();
  const auto got = receiveMessage(here.get(), buffer, "it");
  ASSERT_TRUE(got);
  EXPECT_EQ(std::string_view(buffer.data(), got->size), "last words");
  const auto end = receiveMessage(here.get(), buffer, "it");
  ASSERT_TRUE(end);
  EXPECT_EQ(end->size, 0U);
}

TEST_F(FdMessages, carryBytesAndADescriptor) {
  const UniqueFd file(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(sendMessage(here.get(), "hello", file.get(), "it"));
  auto got = receiveMessage(there.get(), buffer, "it");
  ASSERT_TRUE(got);
  EXPECT_EQ(std::string_view(buffer.data(), got->size), "hello");
  struct stat sent {};
  struct stat come {};
  ASSERT_EQ(::fstat(file.get(), &sent), 0);
  ASSERT_EQ(::fstat(got->fd.get(), &come), 0);
  EXPECT_EQ(sent.st_rdev, come.st_rdev);
  EXPECT_NE(::fcntl(got->fd.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(FdMessages, needNoDescriptor) {
  ASSERT_TRUE(sendMessage(here.get(), "alone", -1, "it"));
  const auto got = receiveMessage(there.get(), buffer, "it");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->size, 5U);
  EXPECT_FALSE(got->fd);
}

TEST_F(FdMessages, twoDescriptorsAreNoneAndNotKept) {
  const auto before = openDescriptors();
  sendMany({0, 1});
  const auto got = receiveMessage(there.get(), buffer, "it");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->size, 1U);
  EXPECT_FALSE(got->fd);
  EXPECT_EQ(openDescriptors(), before);
}

TEST_F(FdMessages, tellAnEmptySocketFromAClosedOne) {
  EXPECT_FALSE(receiveMessage(there.get(), buffer, "it", false));
  here.reset();
  const auto got = receiveMessage(there.get(), buffer, "it", false);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->size, 0U);
  EXPECT_FALSE(sendMessage(there.get(), "x", -1, "it"));
}

TEST_F(FdMessages, nameWhatFailed) {
  const UniqueFd file(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  try {
    sendMessage(file.get(), "x", -1, "the thing");
    FAIL() << "a file is no socket";
  } catch (const SystemError& error) {
    EXPECT_EQ(error.errnum(), ENOTSOCK);
    EXPECT_NE(std::string(error.what()).find("sending the thing"), std::string::npos);
  }
}

}  // namespace
}  // namespace actool
