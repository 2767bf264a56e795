// What a test's web server has under one URL, and how it answers requests for it. The fake
// client and the loopback server both answer by answer(), so that they differ only in the wire.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace actool::test {

using Headers = std::map<std::string, std::string>;  // lower-case names

struct Page {
  int status = 200;
  std::string body = {};
  Headers headers = {};
  std::string authorization = {};              // the header that is required, else 401
  bool ranges = true;                          // answers Range with 206
  bool announceLength = true;                  // sends Content-Length
  std::optional<std::size_t> breakAfter = {};  // the connection breaks after so many bytes
};

struct Answer {
  int status = 200;
  Headers headers;
  std::string body;
  std::optional<std::size_t> breakAfter;
};

Page textPage(std::string body);
Page redirectPage(std::string location, int status = 302);

// As an ordinary static server has it: 401, If-None-Match, Range with If-Range, 416.
Answer answer(const Page& page, const Headers& request);

// "Basic dXNlcjpwYXNz".
std::string basicAuthorization(std::string_view user, std::string_view password);

}  // namespace actool::test
