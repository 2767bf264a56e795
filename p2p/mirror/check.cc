#include "p2p/mirror/check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/fd.h"

namespace actool::mirror {
namespace {

// Throws TrustError when the file at `path` is not the one of `digest`.
void checkFile(const Path& path, const Digest& digest, std::string_view what, bool repair) {
  const UniqueFd fd = tryOpen(path.string(), O_RDONLY | O_NOFOLLOW);
  if (!fd) throw TrustError(fmt::format("its {} is missing", what), "run `actool mirror sync`");
  if (digestOfFile(digest.algorithm(), fd.get(), path.string()) == digest) return;
  if (repair && ::unlink(path.c_str()) != 0) throwErrno("removing " + path.string());
  throw TrustError(fmt::format("its {} is damaged{}", what, repair ? ", and removed now" : ""),
                   repair ? "run `actool mirror sync`" : "run `actool mirror verify --repair`");
}

void checkLink(const SiteLayout& layout, const Path& link, const Path& file) {
  const auto target = linkTarget(link);
  if (target && (link.parent_path() / *target).lexically_normal() == file) return;
  throw TrustError(fmt::format("{} does not lead to its file", webPath(layout, link)),
                   "remove the release's folder and run `actool mirror sync`");
}

}  // namespace

void checkSite(const Site& site, Outside& outside, bool repair,
               const std::function<void(const Checked&)>& visit) {
  const SiteLayout& layout = site.layout();
  for (const schema::AcIdentifier& name : site.names()) {
    const auto revision = currentRevision(layout, name);
    if (!revision) continue;
    const Path release = layout.releasesDir(name) / *revision;
    for (const record::ListedImage& image : versionsOfRevision(layout, name, *revision).images) {
      Checked checked{name, image, {}};
      try {
        const Path path = release / imagePath(name, image.labels);
        checkFile(layout.image(*image.digest), *image.digest, "image", repair);
        checkFile(layout.signature(*image.signature), *image.signature, "signature", repair);
        checkLink(layout, path.string() + ".aci", layout.image(*image.digest));
        checkLink(layout, path.string() + ".aci.asc", layout.signature(*image.signature));
        outside.verify(name, layout.image(*image.digest), layout.signature(*image.signature));
      } catch (const TrustError& error) {
        checked.why = error.what();
      } catch (const Error& error) {
        // What another tool refused.
        if (error.code() != ExitCode::notTrusted) throw;
        checked.why = error.what();
      }
      visit(checked);
    }
  }
}

}  // namespace actool::mirror
