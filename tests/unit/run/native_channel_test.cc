#include <sys/stat.h>

#include "run/native/channel.h"
#include "tests/unit/run/native_test_support.h"

namespace actool::run::native {
namespace {

TEST(Channel, KeepsMessagesApartAndInOrder) {
  auto [a, b] = Channel::makePair();
  EXPECT_TRUE(a.send(MessageKind::failure, "first"));
  EXPECT_TRUE(a.send(MessageKind::appExited, "0 3"));
  const auto first = b.receive();
  const auto second = b.receive();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->kind, MessageKind::failure);
  EXPECT_EQ(first->payload, "first");
  EXPECT_EQ(second->kind, MessageKind::appExited);
  EXPECT_EQ(second->payload, "0 3");
}

TEST(Channel, EndIsToldFromNothingYet) {
  auto [a, b] = Channel::makePair();
  EXPECT_FALSE(b.receive(false));
  EXPECT_FALSE(b.atEnd());
  a.send(MessageKind::failure, "last");
  a.close();
  EXPECT_TRUE(b.receive(false));
  EXPECT_FALSE(b.receive(false));
  EXPECT_TRUE(b.atEnd());
}

TEST(Channel, SendingToNobodyIsNoSignal) {
  auto [a, b] = Channel::makePair();
  b.close();
  EXPECT_FALSE(a.send(MessageKind::failure, "x"));
}

TEST(Channel, CarriesADescriptor) {
  auto [a, b] = Channel::makePair();
  const Pipe pipe = makePipe();
  a.send(MessageKind::terminal, "", pipe.write.get());
  const auto message = b.receive();
  ASSERT_TRUE(message && message->fd);
  struct stat sent {};
  struct stat received {};
  ASSERT_EQ(::fstat(pipe.write.get(), &sent), 0);
  ASSERT_EQ(::fstat(message->fd.get(), &received), 0);
  EXPECT_EQ(sent.st_ino, received.st_ino);
}

TEST(Channel, LongPayloadIsCut) {
  auto [a, b] = Channel::makePair();
  a.send(MessageKind::failure, std::string(100'000, 'x'));
  EXPECT_EQ(b.receive()->payload, std::string(8192, 'x'));
}

}  // namespace
}  // namespace actool::run::native
