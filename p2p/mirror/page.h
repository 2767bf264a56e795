// The pages of a mirror site.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/record/versions.h"
#include "core/schema/identifier.h"

namespace actool::mirror {

// What a name's page announces; URLs and templates are whole.
struct Announcements {
  std::vector<std::string> templates;
  std::vector<std::string> keys;
  std::string versions;  // of the list
};

// The discovery page of a name, with a table for people.
std::string namePage(const record::Versions& versions, const Announcements& announced);

// The page of a name's parent, for people: it announces nothing, so that discovery of a name that
// the site has not ends at once. `title` is empty for the web root. `entries` are path components.
std::string listPage(std::string_view title, const std::vector<std::string>& entries);

}  // namespace actool::mirror
