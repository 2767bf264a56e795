// The OCI runtime: crun, runc, or another with their command line.
#pragma once

#include <string>
#include <vector>

#include "core/base/fs.h"
#include "run/pod_layout.h"

namespace actool::run::oci {

class Runtime {
 public:
  // The one that $ACTOOL_OCI_RUNTIME names, else the first of crun and runc in PATH; notes it in
  // the pod's directory. NotFoundError when there is none, saying which package has it.
  static Runtime choose(const PodLayout& layout);
  // The one that choose() noted. Error when nothing is.
  static Runtime ofPod(const PodLayout& layout);

  // The command line of `words`, with the pod's state directory and a log of its own.
  std::vector<std::string> command(const std::vector<std::string>& words) const;
  // Runs it to its end with our standard streams, of which `input` replaces the first. What a
  // runtime logs goes into the Error that a failure throws.
  void run(const std::vector<std::string>& words, int input, const std::string& what) const;
  const Path& program() const { return program_; }

 private:
  Runtime(Path program, const PodLayout& layout);
  std::string lastLogged() const;

  Path program_;
  Path directory_;  // <pod>/oci
};

// <pod>/oci: bundles, the runtime's state, its log.
Path ociDirectory(const PodLayout& layout);
// A container's cgroup below the root of each hierarchy; runtimes leave it behind in some (crun
// 1.8 in those that are only named). Removes what is there and empty.
std::string containerCgroup(const std::string& id);
void removeCgroups(const std::string& id);
// The ID of an app's container, for which the runtime knows no other pod's.
std::string containerId(const std::string& uuid, const std::string& app);

}  // namespace actool::run::oci
