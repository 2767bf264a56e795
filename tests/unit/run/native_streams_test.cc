// Modes of standard streams, log files, and whose a service manager's sockets are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/strings.h"
#include "run/log_reader.h"
#include "run/native/attach.h"
#include "run/native/listen.h"
#include "run/native/log_file.h"
#include "run/native/stdio.h"
#include "tests/unit/run/native_test_support.h"

namespace actool::run::native {
namespace {

schema::Annotations annotated(const std::string& name, const std::string& value) {
  schema::Annotations annotations;
  annotations.set(schema::AcIdentifier::parse(name), value);
  return annotations;
}

TEST(Stdio, ModesComeFromAnnotations) {
  EXPECT_EQ(stdioModes({}), StdioModes{});
  EXPECT_EQ(stdioModes(annotated("coreos.com/rkt/stage2/stdout", "log"))[1], StdioMode::log);
  EXPECT_EQ(stdioModes(annotated("coreos.com/rkt/stage2/stdin", "tty"))[0], StdioMode::tty);
  EXPECT_EQ(stdioModes(annotated("coreos.com/rkt/stage2/stderr", "interactive"))[2],
            StdioMode::inherit);
  EXPECT_EQ(
      messageOf([] { stdioModes(annotated("coreos.com/rkt/stage2/stdin", "log")); }),
      "coreos.com/rkt/stage2/stdin: \"log\" is no mode of a standard stream; the modes are null, "
      "stream, tty and interactive");
}

class LogFileTest : public testing::Test {
 protected:
  std::vector<std::string> lines(const std::string& suffix = "") const {
    std::vector<std::string> found;
    const std::string text = readFile(path_.string() + suffix, 1 << 20);
    for (const std::string_view line : split(text, '\n')) {
      // Without the time.
      if (!line.empty()) found.emplace_back(line.substr(line.find(' ') + 1));
    }
    return found;
  }

  TempDir dir_{tempRoot()};
  Path path_ = dir_.path() / "web.log";
};

TEST_F(LogFileTest, LinesHoweverTheyAreCut) {
  LogFile log(path_);
  log.write("stdout", "one\ntw");
  log.write("stderr", "err\n");
  log.write("stdout", "o\n\nunfin");
  log.write("stdout", "ished");
  EXPECT_THAT(lines(),
              testing::ElementsAre("stdout F one", "stderr F err", "stdout F two", "stdout F "));
  log.finish("stdout");
  log.finish("stderr");
  EXPECT_EQ(lines().back(), "stdout F unfinished");
  EXPECT_EQ(lines().size(), 5u);
}

TEST_F(LogFileTest, LongLinesAreCutInParts) {
  LogFile log(path_);
  log.write("stdout",
            std::string(kMaxLogLine, 'x') + "\n" + std::string(kMaxLogLine + 1, 'y') + "\n");
  const auto found = lines();
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0], "stdout F " + std::string(kMaxLogLine, 'x'));
  EXPECT_EQ(found[1], "stdout P " + std::string(kMaxLogLine, 'y'));
  EXPECT_EQ(found[2], "stdout F y");
}

TEST_F(LogFileTest, RotatesAndKeepsOneOld) {
  LogFile log(path_, 200);
  for (int i = 0; i < 20; ++i)
    log.write("stdout", "line " + std::to_string(i) + "\n");
  EXPECT_LE(readFile(path_, 1000).size(), 200u);
  EXPECT_LE(readFile(path_.string() + ".1", 1000).size(), 200u);
  EXPECT_EQ(lines().back(), "stdout F line 19");
  // A new run goes on where the file is.
  LogFile again(path_, 200);
  again.write("stdout", "more\n");
  EXPECT_EQ(lines().back(), "stdout F more");
}

TEST_F(LogFileTest, TheReaderGetsAllOfIt) {
  LogFile log(path_, 400);
  std::vector<std::string> read;
  LogReader reader(path_);
  EXPECT_FALSE(reader.next());
  for (int i = 0; i < 30; ++i) {
    log.write("stdout", std::to_string(i) + "\n");
    while (const auto line = reader.next())
      read.push_back(line->text);
  }
  ASSERT_EQ(read.size(), 30u);
  EXPECT_EQ(read.front(), "0");
  EXPECT_EQ(read.back(), "29");
}

TEST(LogLine, WhatIsNoneIsPassedOver) {
  const auto line = LogLine::parse("2026-01-01T00:00:00Z stderr P a b ");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->stream, "stderr");
  EXPECT_FALSE(line->whole);
  EXPECT_EQ(line->text, "a b ");
  for (const char* text : {"", "x", "a b", "a b X c", "   "})
    EXPECT_FALSE(LogLine::parse(text)) << text;
}

TEST(AttachOptions, Words) {
  const AttachOptions options = parseAttachOptions(
      {"--action=custom-attach", "--app=web", "--stdin=true", "--stdout=false", "--tty-in"});
  EXPECT_EQ(options.app, "web");
  EXPECT_THAT(options.endpoints, testing::ElementsAre("stdin", "tty-in"));
  EXPECT_TRUE(parseAttachOptions({"--action=list", "--app=web"}).list);
  EXPECT_EQ(messageOf([] { parseAttachOptions({"--action=list"}); }), "--app is missing");
  EXPECT_EQ(messageOf([] {
              parseAttachOptions({"--action=eat", "--app=a"});
            }),
            "\"eat\" is no action of attach");
}

ListenSocket listening(const std::string& name, std::uint16_t* port = nullptr) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  if (port != nullptr) *port = ntohs(address.sin_port);
  return {std::move(fd), name};
}

PodPlan planWith(const std::vector<std::vector<schema::Port>>& ports) {
  PodPlan plan{RunOptions(*Uuid::parse("11111111-2222-4333-8444-555555555555")), {}, {}, {}, {}};
  for (std::size_t i = 0; i < ports.size(); ++i) {
    AppPlan app(schema::AcName::parse("app" + std::to_string(i)));
    app.app.ports = ports[i];
    plan.apps.push_back(std::move(app));
  }
  return plan;
}

schema::Port port(const std::string& name, std::uint16_t number, bool activated = true) {
  return {.name = schema::AcName::parse(name),
          .protocol = "tcp",
          .port = number,
          .count = 1,
          .socketActivated = activated};
}

TEST(ListenSockets, ByNameThenByNumberThenToTheOnlyApp) {
  std::uint16_t number = 0;
  ListenSocket numbered = listening("", &number);
  const PodPlan plan =
      planWith({{port("http", 1), port("plain", 2, false)}, {port("smtp", number)}});
  std::vector<ListenSocket> sockets;
  sockets.push_back(listening("http"));
  sockets.push_back(std::move(numbered));
  const auto assigned = assignListenSockets(std::move(sockets), plan);
  ASSERT_EQ(assigned.size(), 2u);
  EXPECT_EQ(assigned[0].size(), 1u);
  EXPECT_EQ(assigned[1].size(), 1u);

  sockets.clear();
  sockets.push_back(listening("unknown"));
  EXPECT_EQ(assignListenSockets(std::move(sockets), planWith({{}, {port("http", 1)}}))[1].size(),
            1u);

  sockets.clear();
  sockets.push_back(listening("unknown"));
  EXPECT_THAT(messageOf([&] { assignListenSockets(std::move(sockets), plan); }),
              testing::HasSubstr("no app has a socket-activated port for the socket \"unknown\""));
}

}  // namespace
}  // namespace actool::run::native
