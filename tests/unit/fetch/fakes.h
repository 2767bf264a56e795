// The world of a fetch, in memory: a store and the tools around it, beside the shared fake web.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/cli/sibling_tool.h"
#include "core/net/http.h"
#include "fetch/fetcher.h"
#include "tests/support/fake_http.h"

namespace actool::fetch::test {

using actool::test::FakeHttpClient;
using actool::test::Page;

inline schema::ImageId imageId(char digit) {
  return schema::ImageId::parse("sha512-" + std::string(128, digit));
}

inline record::Image image(char digit, std::string_view name, std::string_view version = "1.0.0") {
  record::Image made{.id = imageId(digit),
                     .name = schema::AcIdentifier::parse(name),
                     .labels = schema::Labels::make(
                         {{schema::AcIdentifier::parse("version"), std::string(version)}}),
                     .requested = std::nullopt,
                     .imported = {},
                     .lastUsed = {},
                     .signedBy = {},
                     .sources = {}};
  return made;
}

inline Request byName(std::string_view text) {
  return requestFor(record::ImageArg(schema::AppRef::parse(text)));
}

// A store that takes anything, unless told otherwise, and remembers partials.
class FakeIngest final : public IngestClient {
 public:
  record::Image result = image('a', "example.com/web");
  std::string partial;                     // what an interrupted ingest left
  std::optional<ExitCode> refuse;          // at the end of the bytes
  std::optional<std::size_t> refuseAfter;  // or once more than so many have come
  bool already = false;                    // somebody else committed it in the meantime
  std::vector<IngestRequest> begun;
  std::vector<std::string> signatures;  // what the files held at that time
  std::vector<Path> files;
  std::string committed;
  int abandoned = 0;

  std::unique_ptr<IngestSession> begin(const IngestRequest& request) override {
    begun.push_back(request);
    signatures.push_back(request.signature ? readFile(*request.signature, 1 << 20) : std::string());
    return std::make_unique<Session>(*this);
  }

  record::Image ingestFile(const IngestRequest& request, const Path& file) override {
    begun.push_back(request);
    files.push_back(file);
    return result;
  }

 private:
  class Session final : public IngestSession {
   public:
    explicit Session(FakeIngest& owner) : owner_(owner) {
      if (owner.already)
        opening_ = owner.result;
      else
        opening_ = std::uint64_t{owner.partial.size()};
    }
    ~Session() override {
      if (!over_) ++owner_.abandoned;
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    const std::variant<std::uint64_t, record::Image>& opening() const override { return opening_; }
    void write(std::span<const std::byte> bytes) override {
      owner_.partial.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      if (owner_.refuseAfter && owner_.partial.size() > *owner_.refuseAfter) refuse();
    }
    record::Image finish() override {
      if (owner_.refuse) refuse();
      over_ = true;
      owner_.committed = std::move(owner_.partial);
      owner_.partial.clear();
      return owner_.result;
    }
    void abandon() override {
      over_ = true;
      ++owner_.abandoned;
    }

   private:
    [[noreturn]] void refuse() {
      over_ = true;
      owner_.partial.clear();
      throw cli::SiblingFailure("actool-image: error: refused\n",
                                owner_.refuse.value_or(ExitCode::notTrusted));
    }
    FakeIngest& owner_;
    std::variant<std::uint64_t, record::Image> opening_ = std::uint64_t{0};
    bool over_ = false;
  };
};

class FakeStore final : public StoreQuery {
 public:
  std::map<std::string, record::Image> images;  // by what resolve() is asked for
  std::map<std::string, Remote> remotes;
  struct Note {
    std::string url, etag;
    std::chrono::seconds maxAge;
  };
  std::vector<Note> notes;

  std::optional<record::Image> resolve(const std::string& name) override {
    const auto found = images.find(name);
    return found == images.end() ? std::nullopt : std::optional(found->second);
  }
  std::optional<Remote> remote(const std::string& url) override {
    const auto found = remotes.find(url);
    return found == remotes.end() ? std::nullopt : std::optional(found->second);
  }
  void noteRemote(const std::string& url, const std::string& etag,
                  std::chrono::seconds maxAge) override {
    notes.push_back({url, etag, maxAge});
  }
  schema::ImageManifest manifest(const schema::ImageId& id) override {
    throw NotFoundError("no manifest of " + id.str());
  }
};

class FakeDiscoverer final : public Discoverer {
 public:
  std::vector<record::Endpoint> endpoints;
  std::vector<std::string> keys;
  bool askOrigin = false;
  std::vector<record::Endpoint> origin;
  std::optional<ExitCode> originFails;
  int calls = 0;
  int originCalls = 0;

  record::Discovered discover(const schema::AppRef& ref) override {
    ++calls;
    return {ref, endpoints, keys, askOrigin};
  }
  record::Discovered discoverOrigin(const schema::AppRef& ref) override {
    ++originCalls;
    if (originFails) throw cli::SiblingFailure("actool-discover: error: no route\n", *originFails);
    return {ref, origin, keys};
  }
};

class FakeSwarm final : public SwarmClient {
 public:
  bool there = false;
  std::optional<Error> failure;
  struct Call {
    std::string torrent;  // a magnet link, or the content of the file
    IngestRequest request;
    std::vector<std::string> webSeeds;
  };
  std::vector<Call> calls;

  bool available() const override { return there; }
  record::Image get(const std::string& torrent, const IngestRequest& request,
                    const std::vector<std::string>& webSeeds,
                    const SwarmProgress& progress) override {
    const auto content = tryReadFile(torrent, 1 << 20);
    calls.push_back({content.value_or(torrent), request, webSeeds});
    progress(1, 2);
    if (failure) throw cli::SiblingFailure(failure->what(), failure->code());
    return image('a', "example.com/web");
  }
};

class FakeTruster final : public KeyTruster {
 public:
  std::vector<std::string> names;
  void trustAnnounced(const schema::AcIdentifier& name) override { names.push_back(name.str()); }
};

// Everything together, with one endpoint that works.
struct World {
  World() {
    discoverer.endpoints = {{kAci, kAsc}};
    http.put(kAci, page("\"v1\""));
    http.put(kAsc, "the signature");
  }

  // The image's bytes under this ETag; the connection breaks after `breakAfter` of them.
  static Page page(const std::string& etag, std::optional<std::size_t> breakAfter = {}) {
    return {.body = kBody, .headers = {{"etag", etag}}, .breakAfter = breakAfter};
  }

  record::Image fetch(const Request& request) {
    const Fetcher fetcher(
        {ingest, store, discoverer, truster,
         [](const std::string& label) { return makeProgress(ProgressMode::none, label); },
         [this](std::chrono::milliseconds time) { slept.push_back(time); }, swarm},
        options);
    return fetcher.fetch(request, http);
  }

  static constexpr const char* kAci = "https://example.com/web.aci";
  static constexpr const char* kAsc = "https://example.com/web.aci.asc";
  static constexpr const char* kBody = "the bytes of an image as distributed";

  FakeHttpClient http;
  FakeIngest ingest;
  FakeStore store;
  FakeDiscoverer discoverer;
  FakeTruster truster;
  FakeSwarm swarm;
  FetchOptions options;
  std::vector<std::chrono::milliseconds> slept;
};

}  // namespace actool::fetch::test
