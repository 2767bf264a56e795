// A stage1 and its entry points (docs/stage1-interface.md). Nothing here knows any stage1 by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fs.h"
#include "core/base/process.h"
#include "core/cli/globals.h"
#include "core/schema/image_manifest.h"
#include "run/pod.h"
#include "run/pod_layout.h"

namespace actool::run {

// A stage1's manifest: which entry points it has and which interface it speaks.
class Stage1Manifest {
 public:
  // Throws Error when it has no run entry point, an interface version that is no number, or an
  // entry point that is not an absolute path.
  static Stage1Manifest parse(std::string_view json, std::string_view what);
  static Stage1Manifest ofPod(const PodLayout& pod);

  // The annotation's value: an absolute path inside the stage1's root.
  std::optional<std::string> entryPoint(std::string_view annotation) const;
  std::uint64_t interfaceVersion() const { return version_; }
  // Its run entry point writes nowhere in its root but below rkt and etc (kStage1ReadOnly).
  bool rootIsReadOnly() const;
  const schema::ImageManifest& image() const { return image_; }

 private:
  explicit Stage1Manifest(schema::ImageManifest image) : image_(std::move(image)) {}
  schema::ImageManifest image_;
  std::uint64_t version_ = 1;
};

// A stage1 to make pods with. `rootfs` is only read.
struct Stage1 {
  std::string manifest;  // the bytes
  Path rootfs;           // absolute
  Path runEntry = {};    // resolveEntryPoint() of its run entry point
  std::uint64_t version = 1;
  bool readOnly = false;  // Stage1Manifest::rootIsReadOnly()
};

// What the run entry point is told; docs/stage1-interface.md.
struct Stage1Options {
  bool debug = false;
  std::string net = "none";
  bool interactive = false;
  Path localConfig;
  std::string hostname;  // empty: stage1's choice
  bool disableCapabilities = false;
  bool disablePaths = false;
  bool disableSeccomp = false;
  std::string dnsResolv = "default";
  std::string dnsHosts = "default";
  std::string ipc;                 // empty: not given
  std::string ociRuntime = {};     // for kOciRuntimeVariable; empty: not given
  std::string metadataToken = {};  // empty: no metadata service
  std::string privateUsers = {};   // "FIRST:COUNT"; empty: the host's
  bool changing = false;           // a pod whose apps come and go
};

// The arguments after argv[0], for the stage1's interface version. What that version does not
// know is left out with a warning.
std::vector<std::string> runArguments(const Stage1Options& options, std::uint64_t version,
                                      const Uuid& uuid);
std::vector<std::string> gcArguments(bool debug, const Path& localConfig, std::uint64_t version,
                                     const Uuid& uuid);

// `entryPoint` below `root` with every symbolic link on the way resolved inside `root`: a
// relative path without links. Throws NotFoundError, or Error when it cannot be executed.
Path resolveEntryPoint(const Path& root, const std::string& entryPoint);

// The root in which a pod's entry points are to be resolved from outside of the pod: the
// stage1's own tree, or the pod's copy of it.
Path stage1Tree(const PodLayout& pod);

// Runs an entry point to its end for a pod from outside of the pod: in a child with a mount
// namespace of its own, where stage1/rootfs is the stage1's tree with what it wrote, in the
// pod's directory, standard output sent to standard error. Nothing when the stage1 has no such
// entry point. The child reports a failed exec over a pipe: SystemError.
std::optional<ExitStatus> runEntryPoint(const PodLayout& pod, std::string_view annotation,
                                        const std::vector<std::string>& arguments);

// Tells the entry point that is run next, which needs to get into the pod, how to (the variables
// RKT_STAGE1_ENTERCMD, RKT_STAGE1_ENTERPID and RKT_STAGE1_ENTERAPP).
void setCrossing(const PodLayout& pod, pid_t pid, const std::string& app);

// Becomes an entry point for a running pod, in a mount namespace as above, in the pod's directory,
// with this process's standard input and output. Throws Error when the stage1 has none.
[[noreturn]] void execEntryPoint(const PodLayout& pod, std::string_view annotation,
                                 const std::vector<std::string>& arguments);

}  // namespace actool::run
