// Which of the versions that there are a mirror follows.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace actool::mirror {

bool isPattern(std::string_view text);  // has a '*'

// '*' stands for any run of characters, none included; everything else for itself. Takes time
// proportional to the product of the lengths at most.
bool matchesPattern(std::string_view pattern, std::string_view version);

// Higher first: SemVer precedence; what is no SemVer comes last, by its text.
bool isHigherVersion(std::string_view a, std::string_view b);

// Those of `versions` that a pattern matches, the highest `keep` of them (0: all), higher first,
// each once.
std::vector<std::string> selectVersions(const std::vector<std::string>& patterns,
                                        std::vector<std::string> versions, std::uint64_t keep);

}  // namespace actool::mirror
