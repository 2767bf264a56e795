// Changes to image manifests as `actool patch-manifest` takes them (appc's actool has the same).
#pragma once

#include <optional>
#include <string>

#include "core/schema/image_manifest.h"

namespace actool::cas {

// The options' values as typed; what is absent stays as it is in the manifest.
struct ManifestPatch {
  std::optional<std::string> name;
  std::optional<std::string> exec;  // words apart by single spaces
  std::optional<std::string> user;
  std::optional<std::string> group;
  std::optional<std::string> supplementaryGroups;  // "10,20"
  std::optional<std::string> capabilities;         // retain set, "CAP_KILL,CAP_CHOWN"
  std::optional<std::string> revokeCapabilities;   // remove set
  std::optional<std::string> mounts;               // "work,path=/opt,readOnly=true:more,..."
  std::optional<std::string> ports;                // "query,protocol=tcp,port=8080:more,..."
  std::optional<std::string> isolators;            // "resource/cpu,request=50m,limit=100m:more"
  std::optional<std::string> seccompMode;          // "remove|retain[,errno=EPERM]"
  std::optional<std::string> seccompSet;           // "syscall1,syscall2"

  bool empty() const;
};

// The manifest with the patch applied. Mount points, ports and isolators are put in, or take
// the place of what has their name; a capability or seccomp set takes the place of both the
// retain and the remove set. Throws UsageError naming the option that is wrong, and when the
// manifest has no app to be changed and no --exec makes one.
schema::ImageManifest applyPatch(const schema::ImageManifest& manifest, const ManifestPatch& patch);

}  // namespace actool::cas
