// Notices that the images of a store change, by inotify(7).
#pragma once

#include <set>
#include <string>

#include "cas/layout.h"
#include "core/base/fd.h"

namespace actool::p2p {

class StoreWatch {
 public:
  explicit StoreWatch(cas::StoreLayout layout);

  // Readable by poll(2) when something changed.
  int fd() const { return fd_.get(); }
  // Takes what is there to read, and watches directories that are new. The store may come later:
  // whoever watches looks again now and then.
  void drain();

 private:
  void watchAll();

  cas::StoreLayout layout_;
  UniqueFd fd_;
};

}  // namespace actool::p2p
