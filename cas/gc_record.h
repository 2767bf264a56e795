// What a quota looks at of an image's record in the index. Read without the rest: of a hundred
// thousand records, building each whole takes most of a collection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace actool::cas {

struct GcRecord {
  std::string name;
  std::vector<std::pair<std::string, std::string>> labels;  // name, value
  std::uint64_t bytes = 0;                                  // of its files below blobs/
  std::string imported;
  std::string active;               // when it was imported, asked for or confirmed by a server last
  std::string askedWithoutVersion;  // as of MatchKey

  // Empty when there is none of that name.
  std::string_view label(std::string_view wanted) const;
};

// `json` is image.json on one line (StoredImage::toJson()). Throws Error when what is above is not
// there.
GcRecord readGcRecord(std::string_view json);

}  // namespace actool::cas
