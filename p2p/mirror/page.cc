#include "p2p/mirror/page.h"

#include <fmt/format.h>

#include "core/base/strings.h"
#include "core/schema/app_ref.h"

namespace actool::mirror {
namespace {

// Names, versions and URLs here have no character that HTML would need escaped, but what comes
// from outside is not asked to keep to that.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

std::string head(std::string_view title) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<title>{}</title>\n",
      escaped(title));
}

std::string tag(std::string_view name, std::string_view prefix, std::string_view value) {
  return fmt::format("<meta name=\"{}\" content=\"{} {}\">\n", name, escaped(prefix),
                     escaped(value));
}

}  // namespace

std::string namePage(const record::Versions& versions, const Announcements& announced) {
  const std::string& name = versions.name.str();
  std::string page = head(name);
  for (const std::string& urlTemplate : announced.templates)
    page += tag("ac-discovery", name, urlTemplate);
  for (const std::string& key : announced.keys)
    page += tag("ac-discovery-pubkeys", name, key);
  page += tag("ac-discovery-versions", name, announced.versions);
  page += fmt::format(
      "</head>\n<body>\n<h1>{}</h1>\n<table>\n<tr><th>image</th><th>size</th><th>ID</th></tr>\n",
      escaped(name));
  for (const record::ListedImage& image : versions.images) {
    page += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                        escaped(schema::AppRef(versions.name, image.labels).str()),
                        formatByteSize(image.size), image.id ? image.id->shortForm() : "");
  }
  return page + "</table>\n</body>\n</html>\n";
}

std::string listPage(std::string_view title, const std::vector<std::string>& entries) {
  const std::string_view shown = title.empty() ? "Mirrored images" : title;
  std::string page =
      head(shown) + fmt::format("</head>\n<body>\n<h1>{}</h1>\n<ul>\n", escaped(shown));
  for (const std::string& entry : entries)
    page += fmt::format("<li><a href=\"{0}/\">{0}</a></li>\n", escaped(entry));
  return page + "</ul>\n</body>\n</html>\n";
}

}  // namespace actool::mirror
