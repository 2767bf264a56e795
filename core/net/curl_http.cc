#include "core/net/curl_http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <exception>
#include <mutex>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/net/http_policy.h"

namespace actool::net {
namespace {

// Real responses have a few kB of headers; curl itself would take them without end.
constexpr std::size_t kMaxHeaderBytes = 256 << 10;
// The text beside an error or a redirect is thrown away; a longer one ends the connection.
constexpr std::size_t kMaxDiscardedBytes = 256 << 10;
constexpr long kReceiveBuffer = 256 << 10;

struct EasyCleanup {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct SlistFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

class HeaderList {
 public:
  void add(const std::string& line) {
    curl_slist* longer = curl_slist_append(list_.get(), line.c_str());
    if (longer == nullptr) throw Error("out of memory");
    static_cast<void>(list_.release());
    list_.reset(longer);
  }
  curl_slist* get() const { return list_.get(); }

 private:
  std::unique_ptr<curl_slist, SlistFree> list_;
};

template <typename T>
void set(CURL* handle, CURLoption option, T value) {
  const CURLcode code = curl_easy_setopt(handle, option, value);
  if (code != CURLE_OK) {
    throw Error(fmt::format("libcurl refuses an option: {}", curl_easy_strerror(code)));
  }
}

// Everything of one request that curl's callbacks need. Exceptions must not pass through
// curl's C frames: they are kept here and thrown again once curl has returned.
struct Transfer {
  CURL* handle;
  const HttpRequest& request;
  BodyGate gate;
  HttpResponse response;
  bool headDone = false;
  bool tooMuchIgnored = false;
  std::size_t headerBytes = 0;
  std::size_t ignoredBytes = 0;
  std::exception_ptr failure;

  Transfer(CURL* h, const HttpRequest& r, const BodySink& sink)
      : handle(h), request(r), gate(r, sink) {}

  // Called at the first byte of the body, and after the transfer when there was none.
  void readHead() {
    if (headDone) return;
    headDone = true;
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    curl_header* header = nullptr;
    while ((header = curl_easy_nextheader(handle, CURLH_HEADER, -1, header)) != nullptr) {
      std::string name = header->name;
      for (char& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
      }
      std::string& value = response.headers[name];
      value += value.empty() ? header->value : std::string(", ") + header->value;
    }
    completeHead(request, response);
  }

  void body(std::span<const std::byte> bytes) {
    readHead();
    if (isSuccess(response)) {
      gate.accept(response, bytes);
    } else {
      ignoredBytes += bytes.size();
      tooMuchIgnored = ignoredBytes > kMaxDiscardedBytes;
    }
  }

  // True when curl may go on.
  template <typename Fn>
  bool guarded(Fn&& fn) noexcept {
    try {
      fn();
      return true;
    } catch (...) {
      failure = std::current_exception();
      return false;
    }
  }
};

std::size_t onBody(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t bytes = size * count;
  const bool good =
      transfer.guarded([&] { transfer.body(std::as_bytes(std::span<const char>(data, bytes))); });
  return good && !transfer.tooMuchIgnored ? bytes : CURL_WRITEFUNC_ERROR;
}

std::size_t onHeader(char*, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  transfer.headerBytes += size * count;
  const bool good = transfer.guarded([&] {
    if (transfer.headerBytes > kMaxHeaderBytes) {
      throw NetworkError(
          fmt::format("the server sends more than {} of headers", formatByteSize(kMaxHeaderBytes)));
    }
  });
  return good ? size * count : 0;
}

[[noreturn]] void throwCurl(CURLcode code, const char* detail, const Url& url) {
  const std::string why = *detail != '\0' ? detail : curl_easy_strerror(code);
  const std::string shown = printable(why);
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      throw NetworkError(fmt::format("the host {} is not known ({})", url.host, shown),
                         "check the name and this machine's name service");
    case CURLE_COULDNT_RESOLVE_PROXY:
      throw NetworkError(fmt::format("the proxy's host is not known ({})", shown),
                         "check proxies.d, https_proxy and http_proxy");
    case CURLE_COULDNT_CONNECT:
      throw NetworkError(fmt::format("no connection to {} ({})", url.hostPort(), shown),
                         "check that the server runs and can be reached");
    case CURLE_PEER_FAILED_VERIFICATION:
      throw NetworkError(
          fmt::format("the certificate of {} is not accepted ({})", url.hostPort(), shown),
          "have the server's certificate mended, or name the CA bundle in SSL_CERT_FILE");
    case CURLE_SSL_CACERT_BADFILE:
      throw NetworkError(fmt::format("the CA bundle cannot be read ({})", shown),
                         "check SSL_CERT_FILE or install ca-certificates");
    case CURLE_SSL_CONNECT_ERROR:
      throw NetworkError(fmt::format("no TLS connection to {} ({})", url.hostPort(), shown),
                         "check that the server speaks TLS 1.2 or later there");
    case CURLE_OPERATION_TIMEDOUT:
      throw NetworkError(fmt::format("{} is too slow ({})", url.hostPort(), shown),
                         "try again later, or from another network");
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      throw NetworkError(fmt::format("the connection to {} broke ({})", url.hostPort(), shown),
                         "try again; what has arrived of an image is kept");
    default:
      throw NetworkError(fmt::format("{} ({})", curl_easy_strerror(code), shown));
  }
}

class CurlClient final : public HttpClient {
 public:
  CurlClient(AuthConfig auth, ProxyConfig proxies)
      : auth_(std::move(auth)), proxies_(std::move(proxies)) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    handle_.reset(curl_easy_init());
    if (!handle_) throw Error("libcurl cannot be initialised");
  }

  HttpResponse get(const HttpRequest& request, const BodySink& sink) override {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    return withContext(fmt::format("getting {}", printable(request.url, 2000)), [&] {
      return followRedirects(request, auth_, [&](const Url& url, const Credential* credential) {
        const auto spent =
            std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
        return perform(request, url, credential, sink, spent);
      });
    });
  }

 private:
  void configure(const HttpRequest& request, const Url& url, const Credential* credential,
                 std::chrono::milliseconds spent) {
    CURL* handle = handle_.get();
    curl_easy_reset(handle);  // keeps connections and TLS sessions
    set(handle, CURLOPT_URL, url.str.c_str());
    set(handle, CURLOPT_PROTOCOLS_STR, request.allowHttp ? "http,https" : "https");
    // Redirects are followed by followRedirects(), which knows where credentials may go.
    set(handle, CURLOPT_FOLLOWLOCATION, 0L);
    set(handle, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    set(handle, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    set(handle, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    set(handle, CURLOPT_NOSIGNAL, 1L);
    set(handle, CURLOPT_USERAGENT, "actool/" ACTOOL_VERSION);
    set(handle, CURLOPT_BUFFERSIZE, kReceiveBuffer);
    set(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(handle, CURLOPT_SSL_VERIFYPEER, request.verifyTls ? 1L : 0L);
    set(handle, CURLOPT_SSL_VERIFYHOST, request.verifyTls ? 2L : 0L);
    if (const char* bundle = std::getenv("SSL_CERT_FILE"); bundle != nullptr && *bundle != '\0') {
      set(handle, CURLOPT_CAINFO, bundle);
      set(handle, CURLOPT_CAPATH, nullptr);
    }
    set(handle, CURLOPT_CONNECTTIMEOUT, static_cast<long>(request.connectTimeout.count()));
    set(handle, CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(request.lowSpeedBytes));
    set(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.lowSpeedTime.count()));
    if (request.totalTimeout.count() > 0) {
      const auto left = std::chrono::milliseconds(request.totalTimeout) - spent;
      set(handle, CURLOPT_TIMEOUT_MS, std::max<long>(1, static_cast<long>(left.count())));
    }
    if (const std::string* proxy = proxies_.find(url)) {
      // An empty one keeps curl from those of the environment; what is configured for a place
      // holds there, whatever no_proxy says.
      set(handle, CURLOPT_PROXY, proxy->c_str());
      set(handle, CURLOPT_NOPROXY, "");
    }
    if (credential != nullptr) authorize(*credential);
  }

  // The option that sends the header only to the host of CURLOPT_URL.
  void authorize(const Credential& credential) {
    CURL* handle = handle_.get();
    if (const auto* basic = std::get_if<BasicAuth>(&credential)) {
      set(handle, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
      set(handle, CURLOPT_USERNAME, basic->user.c_str());
      set(handle, CURLOPT_PASSWORD, basic->password.c_str());
    } else {
      set(handle, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
      set(handle, CURLOPT_XOAUTH2_BEARER, std::get<BearerAuth>(credential).token.c_str());
    }
  }

  HopResult perform(const HttpRequest& request, const Url& url, const Credential* credential,
                    const BodySink& sink, std::chrono::milliseconds spent) {
    CURL* handle = handle_.get();
    configure(request, url, credential, spent);
    HeaderList headers;
    if (request.offset > 0) {
      headers.add(fmt::format("Range: bytes={}-", request.offset));
      if (!request.ifRange.empty()) headers.add(headerLine("If-Range", request.ifRange));
    }
    if (!request.ifNoneMatch.empty()) {
      headers.add(headerLine("If-None-Match", request.ifNoneMatch));
    }
    set(handle, CURLOPT_HTTPHEADER, headers.get());
    std::array<char, CURL_ERROR_SIZE> detail{};
    set(handle, CURLOPT_ERRORBUFFER, detail.data());
    Transfer transfer(handle, request, sink);
    set(handle, CURLOPT_WRITEFUNCTION, &onBody);
    set(handle, CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
    set(handle, CURLOPT_HEADERFUNCTION, &onHeader);
    set(handle, CURLOPT_HEADERDATA, static_cast<void*>(&transfer));

    const CURLcode code = curl_easy_perform(handle);
    if (transfer.failure) std::rethrow_exception(transfer.failure);
    if (code != CURLE_OK && !transfer.tooMuchIgnored) throwCurl(code, detail.data(), url);
    transfer.readHead();

    HopResult result{std::move(transfer.response), {}};
    const char* location = nullptr;
    curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &location);
    if (location != nullptr) result.location = location;
    return result;
  }

  // ETags come from servers and indexes: none may smuggle in a second header.
  static std::string headerLine(std::string_view name, std::string_view value) {
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
      throw Error(fmt::format("the ETag \"{}\" has a line break", printable(value)));
    }
    return fmt::format("{}: {}", name, value);
  }

  AuthConfig auth_;
  ProxyConfig proxies_;
  std::unique_ptr<CURL, EasyCleanup> handle_;
};

}  // namespace

std::unique_ptr<HttpClient> makeCurlClient(AuthConfig auth, ProxyConfig proxies) {
  return std::make_unique<CurlClient>(std::move(auth), std::move(proxies));
}

std::unique_ptr<HttpClient> makeCurlClient(const ConfigDirs& dirs) {
  return makeCurlClient(AuthConfig::load(dirs), ProxyConfig::load(dirs));
}

}  // namespace actool::net
