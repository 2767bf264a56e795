// /etc/hosts and /etc/resolv.conf of an app (spec/OS-SPEC.md, Common Files), and /tmp.
#pragma once

#include "core/base/fs.h"
#include "run/native/plan.h"

namespace actool::run::native {

// As --dns-conf-mode has it: "host" binds the host's file, "stage0" the one that stage0 put into
// `stage1Rootfs`/etc/rkt-{hosts,resolv.conf}; by default an image without /etc/hosts gets one
// that names localhost and the pod, and /etc/resolv.conf is what a network plugin said, or
// stays as it is. A volume that the app
// mounts on either file wins. Makes /tmp where the image has none.
void provideCommonFiles(int root, const PodPlan& pod, const AppPlan& app, const Path& stage1Rootfs);

}  // namespace actool::run::native
