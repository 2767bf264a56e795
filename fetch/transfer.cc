#include "fetch/transfer.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace actool::fetch {
namespace {

constexpr std::chrono::seconds kSmallDocumentTimeout{60};
constexpr std::size_t kMaxEtagBytes = 1024;
// For requests whose body is not read, or is counted elsewhere.
constexpr std::uint64_t kAnySize = std::uint64_t{1} << 60;

// Leaves a sink to end a request whose body nobody wants.
struct BodyStarted : std::exception {};

net::HttpRequest requestOf(const std::string& url, const HttpOptions& options,
                           std::uint64_t maxBytes) {
  net::HttpRequest request;
  request.url = url;
  request.allowHttp = options.allowHttp;
  request.verifyTls = options.verifyTls;
  request.maxBytes = maxBytes;
  return request;
}

// The response without its body, and whether it had one.
std::pair<net::HttpResponse, bool> headersOnly(net::HttpClient& http,
                                               const net::HttpRequest& request) {
  net::HttpResponse started;
  try {
    return {http.get(request,
                     [&](const net::HttpResponse& response, std::span<const std::byte>) {
                       started = response;
                       throw BodyStarted();
                     }),
            false};
  } catch (const BodyStarted&) {
    return {started, true};
  }
}

// What is kept of an ETag: one of a sane size.
std::string etagOf(const net::HttpResponse& response) {
  std::string etag = response.header("etag");
  return etag.size() <= kMaxEtagBytes ? etag : std::string();
}

// One request whose body goes to one session.
class Attempt {
 public:
  Attempt(IngestSession& session, std::uint64_t offset, const TransferLimits& limits,
          const MakeProgress& makeProgress)
      : session_(session), offset_(offset), limits_(limits), makeProgress_(makeProgress) {}
  // Whatever is said after this attempt does not land in its line.
  ~Attempt() { endProgress(); }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  // `etag` names the bytes that came in an earlier attempt of this process; may be empty.
  net::HttpResponse run(net::HttpClient& http, net::HttpRequest request, const std::string& etag) {
    request.offset = offset_;
    // If-Range takes strong validators only (RFC 9110, 13.1.5).
    if (offset_ > 0 && !etag.starts_with("W/")) request.ifRange = etag;
    net::HttpResponse response =
        http.get(request, [&](const net::HttpResponse& headers, std::span<const std::byte> bytes) {
          take(headers, bytes);
        });
    check(response, request.url);
    return response;
  }

  void endProgress() {
    if (progress_) progress_->finish();
    progress_.reset();
  }

  bool received() const { return received_; }
  const std::string& etag() const { return etag_; }

 private:
  void take(const net::HttpResponse& headers, std::span<const std::byte> bytes) {
    if (!received_) {
      received_ = true;
      etag_ = etagOf(headers);
      position_ = headers.bodyOffset;
      if (position_ > offset_) {
        throw NetworkError(
            fmt::format("the server sent the bytes from {} where those from {} "
                        "were asked for",
                        position_, offset_));
      }
      checkSize(headers.totalSize.value_or(0));
      progress_ = makeProgress_();
    }
    if (position_ < offset_) {
      const std::uint64_t known = std::min<std::uint64_t>(offset_ - position_, bytes.size());
      position_ += known;
      bytes = bytes.subspan(known);
    }
    if (bytes.empty()) return;
    position_ += bytes.size();
    checkSize(position_);
    session_.write(bytes);
    progress_->update(position_, headers.totalSize);
  }

  void check(const net::HttpResponse& response, const std::string& url) const {
    // Nothing is left to send when the partial is the whole (RFC 9110, 15.5.17).
    if (response.status == 416 && offset_ > 0) {
      const std::string range = response.header("content-range");
      if (range == fmt::format("bytes */{}", offset_)) return;
      throw NetworkError(fmt::format("{}: the server has \"{}\" where {} bytes have come already",
                                     printable(url), printable(range), offset_));
    }
    if (response.status != 200 && response.status != 206) net::throwStatus(response, url);
    const std::uint64_t total = response.totalSize.value_or(std::max(position_, offset_));
    if (position_ != total) {
      throw NetworkError(fmt::format("{}: the transfer ended after {} of {} bytes", printable(url),
                                     position_, total));
    }
    if (position_ < offset_) {
      throw NetworkError(fmt::format("{}: the server has {} bytes where {} have come already",
                                     printable(url), position_, offset_));
    }
  }

  void checkSize(std::uint64_t size) const {
    if (!limits_.maxBytes || size <= *limits_.maxBytes) return;
    throw TrustError(
        fmt::format("the image has more than {} as distributed", formatByteSize(*limits_.maxBytes)),
        "raise --max-bytes if it is meant to be");
  }

  IngestSession& session_;
  const std::uint64_t offset_;
  const TransferLimits& limits_;
  const MakeProgress& makeProgress_;
  std::unique_ptr<Progress> progress_;
  std::uint64_t position_ = 0;  // of the next byte, in the whole
  bool received_ = false;
  std::string etag_;
};

}  // namespace

TransferResult transfer(net::HttpClient& http, IngestClient& ingest, const std::string& url,
                        const IngestRequest& request, const HttpOptions& options,
                        const TransferLimits& limits, const MakeProgress& makeProgress,
                        const Sleep& sleep) {
  std::unique_ptr<Progress> waiting;  // what another process has of the image
  IngestRequest asked = request;
  asked.onWaiting = [&](std::uint64_t bytes) {
    if (!waiting) waiting = makeProgress();
    waiting->update(bytes, request.size);
  };
  bool begun = false;  // bytes have come: from here on a failure is a broken transfer
  std::string etag;
  std::chrono::milliseconds delay = limits.firstDelay;
  for (int retriesLeft = limits.retries;; --retriesLeft) {
    const std::unique_ptr<IngestSession> session = ingest.begin(asked);
    if (waiting) waiting->finish();
    waiting.reset();
    if (std::holds_alternative<record::Image>(session->opening()))
      return {session->finish(), false, {}, {}};
    Attempt attempt(*session, std::get<std::uint64_t>(session->opening()), limits, makeProgress);
    try {
      // Attempt and the store count, over the whole image and not this part of it.
      const net::HttpResponse response = attempt.run(http, requestOf(url, options, kAnySize), etag);
      record::Image image = session->finish();
      return {std::move(image), true, etagOf(response), response.maxAge()};
    } catch (const NetworkError& error) {
      session->abandon();
      attempt.endProgress();
      begun = begun || attempt.received();
      if (!begun || retriesLeft == 0) throw;
      log::info("{}; trying again in {} ms", error.what(), delay.count());
    }
    if (!attempt.etag().empty()) etag = attempt.etag();
    sleep(delay);
    delay *= 2;
  }
}

std::optional<std::string> download(net::HttpClient& http, const std::string& url,
                                    const HttpOptions& options, std::uint64_t maxBytes) {
  net::HttpRequest request = requestOf(url, options, maxBytes);
  request.totalTimeout = kSmallDocumentTimeout;
  auto [response, body] = http.getText(request);
  if (response.status == 404 || response.status == 410) return std::nullopt;
  if (response.status != 200) net::throwStatus(response, url);
  return std::move(body);
}

bool isThere(net::HttpClient& http, const std::string& url, const HttpOptions& options) {
  return headersOnly(http, requestOf(url, options, kAnySize)).second;
}

std::optional<net::HttpResponse> confirmUnchanged(net::HttpClient& http, const std::string& url,
                                                  const std::string& etag,
                                                  const HttpOptions& options) {
  net::HttpRequest request = requestOf(url, options, kAnySize);
  request.ifNoneMatch = etag;
  net::HttpResponse response = headersOnly(http, request).first;
  if (response.status == 304) return response;
  return std::nullopt;
}

}  // namespace actool::fetch
