// Where things lie in a store, as pure functions, and read-only access to what is committed.
// Links no database: this is what `run` knows of the store. docs/store-format.md is the
// specification of the files.
//
//   <dir>/version                          "actool-store 3\n"
//   <dir>/lock                             the store's writer lock (flock)
//   <dir>/blobs/sha512/<hh>/<hex>          files by digest: image tars
//   <dir>/blobs/sha256/<hh>/<hex>          files by digest: images as distributed
//   <dir>/images/<hh>/<image ID>/manifest      the manifest's bytes, as in the tar
//   <dir>/images/<hh>/<image ID>/image.json    the record from which the index is rebuilt
//   <dir>/images/<hh>/<image ID>/signature.asc the detached signature, when there is one
//   <dir>/images/<hh>/<image ID>/tree          symlink to ../../../trees/<key>, once rendered in
//                                              either form
//   <dir>/images/<hh>/<image ID>/verified      when the tar was last read and found good
//   <dir>/images/<hh>/<image ID>/used          empty; its mtime is when the image was last used
//   <dir>/trees/<key>/rootfs               a rendered tree; <key> says what was rendered
//   <dir>/trees/<key>/{erofs,devices}      the same tree to be mounted: EROFS metadata over tars
//   <dir>/trees/<key>/verified             when these were last found good
//   <dir>/ingest/<key>/{lock,data,...}     what is being fetched; never visible by any name
//   <dir>/leases/...                       cas/layout/lease.h
//   <dir>/bundles/...                      cas/bundle/scratch.h
//   <dir>/index/                           RocksDB
//   <dir>/audit.log                        cas/layout/audit.h
//   <dir>/pods/...                         run/pod_layout.h
//   <dir>/namespaces/<name>/{images,leases,bundles,pods}/
//                                          what a namespace other than the default one has of
//                                          its own; all else is everybody's
//   <dir>/tmp/                             scratch on the same file system; emptied by gc
//
// <hh> is the first two hex digits. What is under blobs/, images/ and trees/ by its final
// name is whole and verified: it was renamed there after fsync.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/digest.h"
#include "core/base/fs.h"
#include "core/base/namespace_name.h"
#include "core/schema/image_id.h"
#include "core/schema/image_manifest.h"

namespace actool::cas {

// Of the stores that this release writes. Older ones it reads as they are, and brings them to this
// one before it changes them; newer ones it refuses.
inline constexpr int kStoreVersion = 3;

// What the version file holds ("actool-store 3\n"), and back. Throws Error on anything else.
std::string formatVersion(int version);
int parseVersion(std::string_view text, std::string_view what);

// Of a store as one namespace sees it.
class StoreLayout {
 public:
  explicit StoreLayout(Path dir, NamespaceName ns = {})
      : dir_(std::move(dir)), ns_(std::move(ns)) {}

  const Path& dir() const { return dir_; }
  const NamespaceName& ns() const { return ns_; }
  // The same store for another namespace.
  StoreLayout in(NamespaceName ns) const { return StoreLayout(dir_, std::move(ns)); }
  // Where the namespace's own things lie; all that is not below it is everybody's.
  Path home() const { return ns_.isDefault() ? dir_ : namespacesDir() / ns_.str(); }
  Path namespacesDir() const { return dir_ / "namespaces"; }
  // "the store /var/lib/actool", or "namespace team of the store /var/lib/actool"; for messages.
  std::string describe() const;
  Path versionFile() const { return dir_ / "version"; }
  Path lockFile() const { return dir_ / "lock"; }
  Path auditLog() const { return dir_ / "audit.log"; }
  Path indexDir() const { return dir_ / "index"; }
  Path blob(const Digest& digest) const;
  Path tarBlob(const schema::ImageId& id) const { return blob(id.tarDigest()); }
  Path imagesDir() const { return home() / "images"; }
  Path imageDir(const schema::ImageId& id) const;
  Path manifestFile(const schema::ImageId& id) const { return imageDir(id) / "manifest"; }
  Path imageFile(const schema::ImageId& id) const { return imageDir(id) / "image.json"; }
  Path signatureFile(const schema::ImageId& id) const { return imageDir(id) / "signature.asc"; }
  Path treeLink(const schema::ImageId& id) const { return imageDir(id) / "tree"; }
  // What that link says: the way from there to trees/<key>.
  Path treeLinkTarget(std::string_view key) const;
  Path usedFile(const schema::ImageId& id) const { return imageDir(id) / "used"; }
  Path verifiedFile(const schema::ImageId& id) const { return imageDir(id) / "verified"; }
  Path treesDir() const { return dir_ / "trees"; }
  Path treeDir(std::string_view key) const { return treesDir() / std::string(key); }
  Path treeRoot(std::string_view key) const { return treeDir(key) / "rootfs"; }
  Path erofsFile(std::string_view key) const { return treeDir(key) / "erofs"; }
  Path devicesFile(std::string_view key) const { return treeDir(key) / "devices"; }
  Path treeVerifiedFile(std::string_view key) const { return treeDir(key) / "verified"; }
  Path ingestDir() const { return dir_ / "ingest"; }
  Path tmpDir() const { return dir_ / "tmp"; }
  Path podsDir() const { return home() / "pods"; }
  Path leasesDir() const { return home() / "leases"; }
  Path bundlesDir() const { return home() / "bundles"; }

 private:
  Path dir_;
  NamespaceName ns_;
};

// The namespaces of the store: the default one, then the others that there are, by name. Reads one
// directory. What is there under a name that is none is left out.
std::vector<NamespaceName> namespacesOf(const StoreLayout& layout);

// One tar that a metadata image refers to.
struct MountableDevice {
  schema::ImageId image;
  std::uint64_t size;  // of the tar, in bytes; any other size is another file
  Path tar;
};

// An image with its dependencies as an EROFS file system whose data stays in the tars.
struct MountableImage {
  Path tree;                             // "<dir>/trees/<key>"
  Path metadata;                         // the primary device
  std::vector<MountableDevice> devices;  // the extra devices, in the order of their slots
};

// The lines "<image ID> <size>" of trees/<key>/devices, and back. Throws Error naming `what` when
// they are anything else.
std::vector<MountableDevice> parseDevices(const StoreLayout& layout, std::string_view text,
                                          std::string_view what);
std::string formatDevices(const std::vector<MountableDevice>& devices);

// One namespace of a store, read-only, no lock, no database. Throws Error when the store's version
// is newer than ours. All else that fails throws SystemError.
class StoreReader {
 public:
  explicit StoreReader(StoreLayout layout);

  const StoreLayout& layout() const { return layout_; }
  // The version of the store's files; nothing when nothing was ever stored here.
  std::optional<int> version() const { return version_; }
  bool has(const schema::ImageId& id) const;
  // The one image whose ID begins so: NotFoundError when none does, UsageError naming the
  // candidates when several do. Reads one directory.
  schema::ImageId resolve(const schema::ImageIdPrefix& prefix) const;
  schema::ImageManifest manifest(const schema::ImageId& id) const;
  std::string manifestBytes(const schema::ImageId& id) const;
  // The key in the image's `tree` link, nothing when there is no link.
  std::optional<std::string> linkedTree(const schema::ImageId& id) const;
  // The rendered tree's root ("<dir>/trees/<key>/rootfs"), nothing when there is none yet.
  std::optional<Path> renderedRoot(const schema::ImageId& id) const;
  // What to mount for the image, nothing when it has not been made yet. Opens none of the files.
  std::optional<MountableImage> mountable(const schema::ImageId& id) const;
  // Every committed image's ID, sorted. Reads every directory below images/.
  std::vector<schema::ImageId> ids() const;
  // Notes that the image is used now. It is a hint for people and for gc: where the store
  // can't be written, nothing happens.
  void noteUse(const schema::ImageId& id) const noexcept;
  // When noteUse() was last called, nothing when it never was.
  std::optional<std::chrono::system_clock::time_point> lastUsed(const schema::ImageId& id) const;

 private:
  StoreLayout layout_;
  std::optional<int> version_;
};

}  // namespace actool::cas
