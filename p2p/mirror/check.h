// Reading a whole site again: is it what it says?
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "p2p/mirror/outside.h"
#include "p2p/mirror/site.h"

namespace actool::mirror {

struct Checked {
  schema::AcIdentifier name;
  record::ListedImage image;
  std::string why;  // empty: it is good
};

// Every image of every name: the links of its release, the bytes against their digests, the
// signature against today's keys. Calls `visit` with each. With `repair` files that are not what
// their names say are removed, so that the next sync, or a client's next mirror, has them anew.
void checkSite(const Site& site, Outside& outside, bool repair,
               const std::function<void(const Checked&)>& visit);

}  // namespace actool::mirror
