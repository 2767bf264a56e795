// The discovery tags of a web page (appc spec/discovery.md, Discovery URL):
//   <meta name="ac-discovery" content="PREFIX-MATCH URL-TEMPLATE">
//   <meta name="ac-discovery-pubkeys" content="PREFIX-MATCH URL">
// and the one of docs/mirror.md:
//   <meta name="ac-discovery-versions" content="PREFIX-MATCH URL">
// read by a real HTML parser (gumbo), so that comments, scripts, entities, unclosed tags and
// every other page found in the wild mean here what they mean in a browser.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace actool::discovery {

// What a hostile page may cost. HTML's tree construction is quadratic in places (every
// character looks through the open elements; every attribute is compared with those before
// it) and multiplies elements in others (unclosed formatting elements are opened again in
// each paragraph), so the size of the page alone bounds neither time nor memory.
struct HtmlLimits {
  // Home pages of real sites are 10 to 500 kB. A page over this is refused.
  std::size_t bytes = std::size_t{1} << 20;
  // Start tags that are looked at; what follows is cut off. It also bounds how deep elements
  // can nest. Meta tags stand at the top of a page; 99% of sites have fewer tags altogether.
  std::size_t tags = 4096;
  // Discovery tags of one page, over which it is refused: a site names a few transports and
  // mirrors for each of its prefixes.
  std::size_t metas = 256;
  // The value of one content attribute; longer ones are not taken. Servers and proxies
  // refuse request lines of about this length.
  std::size_t contentBytes = 4096;
  // The parser's memory. A megabyte of ordinary HTML takes 27 MB of it.
  std::size_t memory = std::size_t{64} << 20;
  // The parser's processor time, looked at when it allocates. A megabyte of ordinary HTML
  // takes 0.1 s.
  std::chrono::milliseconds cpu{3000};
};

struct MetaTag {
  enum class Kind { image, keys, versions };  // ac-discovery, -pubkeys, -versions
  Kind kind = Kind::image;
  std::string prefix;  // as it stands, not empty
  std::string value;   // URL template or URL, not empty; unchecked
  bool operator==(const MetaTag&) const = default;
};

// In the order of the page, wherever in it they stand. Tags without both parts are left out,
// as are those of other names. Names are compared exactly, as appc's actool
// does. Throws Error when a limit is passed. Reentrant.
std::vector<MetaTag> extractMetaTags(std::string_view html, const HtmlLimits& limits = {});

}  // namespace actool::discovery
