// The options every tool takes (rkt's global options) and what follows from them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/config_file.h"
#include "core/base/fs.h"
#include "core/base/namespace_name.h"
#include "core/base/progress.h"

namespace actool::cli {

class Options;

// --insecure-options: a comma-separated set of rkt's words; each use is warned about once.
struct InsecureOptions {
  bool image = false;         // no signature check
  bool tls = false;           // no certificate check
  bool http = false;          // plain http allowed for discovery and images
  bool pubkey = false;        // keys over plain http
  bool ondisk = false;        // no check of rendered trees before a run
  bool capabilities = false;  // apps keep all capabilities
  bool paths = false;         // no masked or read-only paths
  bool seccomp = false;       // no seccomp filter

  // "none", the words above, "all-fetch" (image,tls,http), "all-run"
  // (ondisk,capabilities,paths,seccomp), "all". Throws UsageError on other words.
  static InsecureOptions parse(const std::string& text);
  std::string str() const;  // the canonical list, "none" when nothing is set
};

class Globals {
 public:
  Globals();  // the defaults of DESIGN: root or not, XDG directories

  // Adds --dir, --namespace, --system-config, --local-config, --user-config, --insecure-options,
  // --trust-keys-from-https, --debug and --progress to `options`. They may stand anywhere;
  // of one that is given twice the last holds.
  void addTo(Options& options);

  Path dir;           // the data directory
  NamespaceName ns;   // of the store and of the keys
  Path systemConfig;  // /usr/lib/actool
  Path localConfig;   // /etc/actool
  Path userConfig;    // empty when there is none
  InsecureOptions insecure;
  bool trustKeysFromHttps = false;
  bool debug = false;
  ProgressMode progress = ProgressMode::automatic;

  // After parsing: applies debug, warns of insecure options, and lets the `paths`
  // configuration (rktKind "paths": {"data": ..., "namespace": ...}) set `dir` when --dir was not
  // given, and `ns` when neither --namespace nor $ACTOOL_NAMESPACE was.
  void settle();

  ConfigDirs configDirs() const;
  // Where the namespace's own part of a configuration directory is, which is its trusted keys:
  // `config` itself for the default one, `<config>/namespaces/<ns>` for another.
  Path ownPart(const Path& config) const;
  // The same of all of configDirs(). Nothing is inherited from another namespace.
  ConfigDirs trustDirs() const;
  // The same options for another tool's command line.
  std::vector<std::string> forward() const;

 private:
  void readPaths();

  bool dirGiven_ = false;
  bool nsGiven_ = false;
  bool settled_ = false;
};

}  // namespace actool::cli
