// From what an operator names to an image in the store, by asking other tools where this one
// has no database and no network.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cas/layout.h"
#include "core/base/fd.h"
#include "core/cli/globals.h"
#include "core/record/record.h"
#include "core/schema/image_id.h"
#include "run/erofs_mount.h"

namespace actool::run {

enum class PullPolicy { onlyNew, update, never };   // rkt's "new", "update", "never"
PullPolicy parsePullPolicy(std::string_view word);  // throws UsageError

// What an app's root is made of: a directory, or a detached mount.
struct AppRoot {
  Path tree;  // "<store>/trees/<key>/rootfs", or ".../erofs" when there is a mount
  std::shared_ptr<ImageMount> mount;  // of all apps with this image; none: `tree` is the directory
};

class Images {
 public:
  Images(const cli::Globals& globals, PullPolicy policy)
      : globals_(globals), policy_(policy), store_(cas::StoreLayout(globals.dir, globals.ns)) {}

  const cas::StoreReader& store() const { return store_; }

  // An image ID or prefix is looked up in the store, with no other process. A name is resolved
  // by `actool-image resolve`, and fetched as the policy says; everything else is fetched, with
  // `signature`, a file or URL, when it is not empty.
  schema::ImageId find(std::string_view text, const std::string& signature = "");
  // For a file or URL that is fetched in any case (a stage1's location).
  schema::ImageId fetch(std::string_view text, const std::string& signature = "");
  // In the store, by `actool-image resolve`; nothing when it is not there.
  std::optional<schema::ImageId> resolve(std::string_view text);

  // The images of the records on standard input, in their order. What an "image" record says
  // of name and labels is checked again, against the store; "discovered" records and bare
  // arguments are fetched or found.
  std::vector<schema::ImageId> fromRecords(int fd);

  // The image's tree, mounted where it can be, and otherwise unpacked. To be called before this
  // process has the pod's mount namespace (erofs_mount.h). Asked again, it gives the same mount.
  AppRoot appRoot(const schema::ImageId& id);
  // The root of the unpacked tree, made by `actool-image render` when there is none yet. TrustError
  // when it is not what the image has.
  Path renderedRoot(const schema::ImageId& id);

 private:
  AppRoot makeRoot(const schema::ImageId& id);
  schema::ImageId fromRecord(record::Image image);
  schema::ImageId fetchRecord(const record::Discovered& discovered);
  std::optional<cas::MountableImage> makeMountable(const schema::ImageId& id);
  // The ondisk check: `actool-image verify` reads what has no good stamp. TrustError.
  void requireGoodTree(const schema::ImageId& id, const Path& root);
  void verifyContent(const schema::ImageId& id, const std::vector<schema::ImageId>& read);
  void requireGood(const schema::ImageId& id, const cas::MountableImage& image,
                   const ErofsFiles& files);

  const cli::Globals& globals_;
  PullPolicy policy_;
  cas::StoreReader store_;
  std::map<schema::ImageId, AppRoot> roots_;
};

}  // namespace actool::run
