// An HttpClient whose answers the test writes down, by exact URL; what is not written down is
// a 404. It keeps the body limit of the interface's contract and notes what was asked.
#pragma once

#include <fmt/format.h>

#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/net/http.h"

namespace actool::discovery {

class ScriptedClient : public net::HttpClient {
 public:
  void page(const std::string& url, const std::string& file) {
    text(url, readFile(Path(ACTOOL_TESTDATA) / "discovery" / file, 1 << 20));
  }
  void text(const std::string& url, std::string body) {
    answers_[url] = {200, std::move(body), {}};
  }
  void status(const std::string& url, int status) { answers_[url] = {status, "", {}}; }
  void failure(const std::string& url, std::string why) { answers_[url] = {0, "", std::move(why)}; }

  net::HttpResponse get(const net::HttpRequest& request, const net::BodySink& sink) override {
    requests.push_back(request);
    net::HttpResponse response;
    response.effectiveUrl = request.url;
    response.status = 404;
    const auto found = answers_.find(request.url);
    if (found == answers_.end()) return response;
    const Answer& answer = found->second;
    if (!answer.failure.empty()) throw NetworkError(answer.failure);
    if (answer.body.size() > request.maxBytes) {
      throw NetworkError(fmt::format("more than {} bytes", request.maxBytes));
    }
    response.status = answer.status;
    if (response.status / 100 == 2) sink(response, std::as_bytes(std::span(answer.body)));
    return response;
  }

  std::vector<std::string> urls() const {
    std::vector<std::string> result;
    for (const net::HttpRequest& request : requests)
      result.push_back(request.url);
    return result;
  }

  std::vector<net::HttpRequest> requests;

 private:
  struct Answer {
    int status;
    std::string body;
    std::string failure;
  };
  std::map<std::string, Answer> answers_;
};

}  // namespace actool::discovery
