#include "fetch/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>

#include "core/base/error.h"
#include "tests/unit/fetch/fakes.h"

namespace actool::fetch::test {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

// A world of names: each with an ID digit and the names that it needs.
struct Names {
  struct Entry {
    char digit;
    std::vector<std::string> needs;
  };
  std::map<std::string, Entry> entries;
  std::map<std::string, ExitCode> failing;
  std::mutex mutex;
  std::vector<std::string> fetched;

  std::vector<Outcome> run(const std::vector<std::string>& roots, const GraphLimits& limits = {}) {
    std::vector<Request> requests;
    for (const std::string& root : roots)
      requests.push_back(byName(root));
    return fetchAll(requests,
                    {[this](const Request& request, unsigned) { return fetch(request); },
                     [this](const record::Image& image) { return needs(image); }},
                    limits);
  }

 private:
  record::Image fetch(const Request& request) {
    const std::string label = request.label();
    const std::lock_guard lock(mutex);
    fetched.push_back(label);
    if (failing.contains(label)) throw Error("it does not work", {}, failing.at(label));
    record::Image made =
        image(entries.at(label).digit, std::get<ByName>(request.what).ref.name().str());
    made.requested = std::get<ByName>(request.what).ref;
    return made;
  }
  std::vector<Request> needs(const record::Image& image) {
    std::vector<Request> list;
    for (const std::string& name : entries.at(image.requested->str()).needs)
      list.push_back(byName(name));
    return list;
  }
};

std::string messageOf(const Outcome& outcome) {
  if (!outcome.error) return "no error";
  try {
    std::rethrow_exception(outcome.error);
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(GraphTest, FetchesEachOnce) {
  Names names;
  names.entries = {{"e.com/a", {'a', {"e.com/b", "e.com/c"}}},
                   {"e.com/b", {'b', {"e.com/d"}}},
                   {"e.com/c", {'c', {"e.com/d"}}},
                   {"e.com/d", {'d', {}}}};
  const auto outcomes = names.run({"e.com/a", "e.com/b", "e.com/a"});
  EXPECT_THAT(names.fetched, UnorderedElementsAre("e.com/a", "e.com/b", "e.com/c", "e.com/d"));
  ASSERT_EQ(outcomes.size(), 3U);
  EXPECT_EQ(outcomes[0].image->id, imageId('a'));
  EXPECT_EQ(outcomes[1].image->id, imageId('b'));
  EXPECT_EQ(outcomes[2].image->id, imageId('a'));
}

TEST(GraphTest, AFailedDependencyFailsThoseAboveItOnly) {
  Names names;
  names.entries = {
      {"e.com/a", {'a', {"e.com/b"}}}, {"e.com/b", {'b', {"e.com/d"}}}, {"e.com/c", {'c', {}}}};
  names.failing = {{"e.com/d", ExitCode::notFound}};
  const auto outcomes = names.run({"e.com/a", "e.com/c"});
  EXPECT_EQ(messageOf(outcomes[0]), "e.com/d, which e.com/b depends on: it does not work");
  EXPECT_FALSE(outcomes[0].image);
  EXPECT_TRUE(outcomes[1].image);
}

TEST(GraphTest, ACircleIsRefused) {
  Names names;
  names.entries = {{"e.com/a", {'a', {"e.com/b"}}}, {"e.com/b", {'b', {"e.com/a"}}}};
  const auto outcomes = names.run({"e.com/a"});
  EXPECT_EQ(messageOf(outcomes[0]),
            "e.com/b, which e.com/a depends on: dependencies go in a circle: e.com/a -> e.com/b "
            "-> e.com/a; its makers have to break it");
}

TEST(GraphTest, AnImageThatNeedsItselfIsRefused) {
  Names names;
  names.entries = {{"e.com/a", {'a', {"e.com/a"}}}};
  EXPECT_EQ(messageOf(names.run({"e.com/a"})[0]),
            "dependencies go in a circle: e.com/a -> e.com/a; its makers have to break it");
}

TEST(GraphTest, ACircleUnderOtherNamesIsFoundByImageId) {
  Names names;
  names.entries = {{"e.com/a:1.0.0", {'a', {"e.com/b"}}},
                   {"e.com/b", {'b', {"e.com/a"}}},
                   {"e.com/a", {'a', {"e.com/b"}}}};
  EXPECT_EQ(messageOf(names.run({"e.com/a:1.0.0"})[0]),
            "e.com/a, which e.com/b depends on: dependencies go in a circle: e.com/a:1.0.0 -> "
            "e.com/b -> e.com/a -> e.com/a:1.0.0; its makers have to break it");
}

TEST(GraphTest, TwoNamesOfOneImageAreExpandedOnce) {
  Names names;
  names.entries = {{"e.com/a:1.0.0", {'a', {"e.com/d"}}},
                   {"e.com/a", {'a', {"e.com/d"}}},
                   {"e.com/d", {'d', {}}}};
  const auto outcomes = names.run({"e.com/a", "e.com/a:1.0.0"});
  EXPECT_EQ(outcomes[0].image->requested->str(), "e.com/a");
  EXPECT_EQ(outcomes[1].image->requested->str(), "e.com/a:1.0.0");
  EXPECT_THAT(names.fetched, UnorderedElementsAre("e.com/a", "e.com/a:1.0.0", "e.com/d"));
}

TEST(GraphTest, DepthHasALimit) {
  Names names;
  names.entries = {{"e.com/a", {'a', {"e.com/b"}}},
                   {"e.com/b", {'b', {"e.com/c"}}},
                   {"e.com/c", {'c', {"e.com/d"}}}};
  const auto outcomes = names.run({"e.com/a"}, {.workers = 1, .depth = 2, .images = 10});
  EXPECT_EQ(messageOf(outcomes[0]),
            "e.com/c, which e.com/b depends on: dependencies go more than 2 images deep; its "
            "makers have to flatten the image");
}

TEST(GraphTest, NumberHasALimit) {
  Names names;
  names.entries = {{"e.com/a", {'a', {"e.com/b", "e.com/c"}}}};
  names.entries.emplace("e.com/b", Names::Entry{'b', {}});
  const auto outcomes = names.run({"e.com/a"}, {.workers = 1, .depth = 9, .images = 2});
  EXPECT_EQ(messageOf(outcomes[0]),
            "more than 2 images would have to be fetched; fetch them in several runs");
}

TEST(GraphTest, WorkersRunSideBySide) {
  // Each of four fetches waits until all four have begun: serial work would never end.
  std::barrier<> together(4);
  std::atomic<int> digit{0};
  std::vector<Request> requests;
  for (const char* name : {"e.com/a", "e.com/b", "e.com/c", "e.com/d"})
    requests.push_back(byName(name));
  const auto outcomes =
      fetchAll(requests, {[&](const Request&, unsigned) {
                            together.arrive_and_wait();
                            return image(static_cast<char>('0' + digit++), "e.com/x");
                          },
                          [](const record::Image&) { return std::vector<Request>(); }});
  EXPECT_EQ(outcomes.size(), 4U);
  EXPECT_EQ(digit, 4);
}

}  // namespace
}  // namespace actool::fetch::test
