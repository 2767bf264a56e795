// Which mirrors stand in for which names: mirrors.d (docs/mirror.md, rktKind "mirrors").
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/config_file.h"
#include "core/schema/identifier.h"

namespace actool::discovery {

// What holds for the names below one prefix.
struct MirrorRule {
  std::vector<std::string> bases;  // URLs without a '/' at the end, in the order to ask them
  bool only = false;               // the names' own hosts are never asked
};

class MirrorConfig {
 public:
  MirrorConfig() = default;
  // {"rktKind":"mirrors","rktVersion":"v1","prefixes":["quay.io"],
  //  "mirrors":["https://mirror.example.com/"],"only":true} from mirrors.d of every directory.
  // "*" among the prefixes is every name. The same prefix twice in one directory is an error, in
  // a directory of higher precedence it overrides; an empty list of mirrors takes those of a lower
  // directory or of a shorter prefix away. Throws UsageError naming the file.
  static MirrorConfig load(const ConfigDirs& dirs);

  void set(std::string_view prefix, MirrorRule rule);
  // By the longest prefix of whole components. Null: the name has no mirror.
  const MirrorRule* find(const schema::AcIdentifier& name) const;

 private:
  std::map<std::string, MirrorRule, std::less<>> rules_;
};

}  // namespace actool::discovery
