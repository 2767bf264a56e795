// Where things lie in a mirror site, as pure functions. docs/mirror.md is the specification.
//
//   SITE/mirror.json                       what it is and follows
//   SITE/lock                              whoever changes the site holds its flock
//   SITE/tmp/                              scratch on the same file system
//   SITE/public/                           the web root
//   SITE/public/_images/<hh>/<hex>.aci       files as distributed, by their SHA-256
//   SITE/public/_images/<hh>/<hex>.asc       signatures, by their SHA-256
//   SITE/public/_images/<hh>/<hex>.torrent   torrents, by the SHA-256 of the signature
//   SITE/public/_keys/<hex>.asc              public keys, by their SHA-256
//   SITE/public/NAME/_r/<revision>/        a release: all that is served of a name at one time
//   SITE/public/NAME/index.html            -> _r/<revision>/index.html, the release in force
//
// No component of a name begins with '_'.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/digest.h"
#include "core/base/fs.h"
#include "core/schema/identifier.h"
#include "core/schema/labels.h"

namespace actool::mirror {

class SiteLayout {
 public:
  explicit SiteLayout(Path dir) : dir_(std::move(dir)) {}

  const Path& dir() const { return dir_; }
  Path configFile() const { return dir_ / "mirror.json"; }
  Path lockFile() const { return dir_ / "lock"; }
  Path tmpDir() const { return dir_ / "tmp"; }
  Path webRoot() const { return dir_ / "public"; }
  Path imagesDir() const { return webRoot() / "_images"; }
  Path keysDir() const { return webRoot() / "_keys"; }
  Path image(const Digest& digest) const { return byDigest(digest, "aci"); }
  Path signature(const Digest& digest) const { return byDigest(digest, "asc"); }
  Path torrent(const Digest& signature) const { return byDigest(signature, "torrent"); }
  Path key(const Digest& digest) const { return keysDir() / (digest.hex() + ".asc"); }
  Path nameDir(const schema::AcIdentifier& name) const { return webRoot() / name.str(); }
  Path page(const schema::AcIdentifier& name) const { return nameDir(name) / "index.html"; }
  Path releasesDir(const schema::AcIdentifier& name) const { return nameDir(name) / "_r"; }

 private:
  Path byDigest(const Digest& digest, std::string_view suffix) const;

  Path dir_;
};

// "/_images/ab/ab12...aci" of `path` below the web root: what follows the site's URL.
std::string webPath(const SiteLayout& layout, const Path& path);

// Where a release has the image of these labels, without its suffix:
// "os-arch/example.com/web/1.2.0/linux/amd64"; "latest" stands for a version that is missing.
// Throws Error when a value cannot be a component of a path.
std::string imagePath(const schema::AcIdentifier& name, const schema::Labels& labels);
// The ac-discovery template, below the release, of images that have labels of these names:
// "os-arch/{name}/{version}/{os}/{arch}".
std::string imageTemplate(const schema::Labels& labels);

// A revision is 32 lower-case hex digits.
bool isRevision(std::string_view text);
// "_r/<revision>/index.html", as the page's link has it, and back.
std::string pageTarget(std::string_view revision);
std::optional<std::string> revisionOfTarget(std::string_view target);

}  // namespace actool::mirror
