// What is served of one name at one time, and how one release follows another.
//
// A release is a directory of links whose name follows from its content; it never changes. The page
// of the name is a link into the release in force, and what the page announces leads into that same
// release. So whoever has read the page sees images, signatures and list of one release, as long as
// it is kept after another has taken its place. Durable in this order: images and signatures, the
// release, the page's link. Its rename is the point of no return.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/digest.h"
#include "core/record/versions.h"
#include "p2p/mirror/site_config.h"
#include "p2p/mirror/site_layout.h"

namespace actool::mirror {

// Where a symbolic link leads; nothing when `path` is none.
std::optional<std::string> linkTarget(const Path& path);

struct Release {
  // Every image has a digest and a signature whose files are in the site.
  record::Versions versions;
  std::vector<Digest> keys;  // in the site
};

// The revision in force; nothing when the name has no page.
std::optional<std::string> currentRevision(const SiteLayout& layout,
                                           const schema::AcIdentifier& name);
// Its list of images. Throws Error when it cannot be read.
std::optional<record::Versions> currentVersions(const SiteLayout& layout,
                                                const schema::AcIdentifier& name);
record::Versions versionsOfRevision(const SiteLayout& layout, const schema::AcIdentifier& name,
                                    std::string_view revision);
// The names of the public keys' files below keysDir().
std::vector<std::string> keyFilesOfRevision(const SiteLayout& layout,
                                            const schema::AcIdentifier& name,
                                            std::string_view revision);

// Puts the release in force. False when it was already. The site's lock is held.
bool publishRelease(const SiteLayout& layout, const SiteConfig& config, const Release& release);

// Takes the name's page away. False when there was none.
bool withdrawName(const SiteLayout& layout, const schema::AcIdentifier& name);

}  // namespace actool::mirror
