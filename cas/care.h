// Keeping a store in order: removing images, verifying, garbage collection, repair.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cas/quarantine.h"
#include "cas/store.h"
#include "core/base/clock.h"
#include "core/schema/image_id.h"
#include "trust/keystore.h"
#include "trust/verifier.h"

namespace actool::cas {

// Pods and other images that need `id`, each as a phrase for a message ("pod 6733c088-...",
// "example.com/web:1.0.0, which depends on it"). Pods are known by their manifests.
std::vector<std::string> usersOf(const StoreWriter& writer, const schema::ImageId& id);

// The images that pods in preparation, prepared or running, or not removed yet, were made of. Error
// when that can't be told of one.
std::vector<schema::ImageId> imagesOfPods(const StoreLayout& layout);

struct VerifyReport {
  bool distributedChecked = false;                // the file as distributed is there
  std::optional<trust::TrustDecision> signature;  // good, and its key trusted for the name now
};

// Reads what pods of the image are made of anew: the tar against the ID, the manifest against the
// tar, metadata that is mounted, and the rendered tree, against what the tars make. Stamps what is
// good (cas/verified.h).
// TrustError naming the first thing that is wrong.
void verifyContent(const StoreLayout& layout, const schema::ImageId& id);

// The tar against the image ID, the manifest against the tar. TrustError as below.
void verifyTar(const StoreLayout& layout, const schema::ImageId& id);
// A blob against its digest. TrustError that calls it `what`.
void verifyBlob(const StoreLayout& layout, const Digest& digest, std::string_view what);

// The file as distributed, which has to be there, against its digest and, where there is a
// signature, against that. The good signers, none when there is no signature. TrustError as below.
std::vector<trust::Signer> verifyDistributed(const StoreLayout& layout, const StoredImage& image,
                                             trust::SignatureVerifier& verifier);

// Reads the image's files anew: the tar against the ID, the manifest against the tar, metadata
// that is mounted against what the tars make, the file as distributed against its digest and, where
// there is a signature, against that and today's keystore. TrustError naming the first thing that
// is wrong.
VerifyReport verifyImage(const StoreLayout& layout, const StoredImage& image,
                         const trust::Keystore& keystore, trust::SignatureVerifier& verifier);

struct GcOptions {
  // What an ingest left, and blobs and trees nobody refers to, are kept so long after their last
  // change: a transfer that was interrupted today is continued today.
  std::chrono::seconds grace{24 * 3600};
  bool dropDistributed = false;  // and the files as distributed that are not the tar itself
  // Quotas; without them no image goes. Of all images together, and of each name.
  std::optional<std::uint64_t> keepBytes = std::nullopt;
  std::optional<std::uint64_t> keepLast = std::nullopt;
  bool dryRun = false;  // report what would go, and remove nothing
};

// One thing that was removed.
struct GcItem {
  std::string what;   // "image", "transfer", "file", "tree", "scratch"
  std::string name;   // an image ID, or the path below the store
  std::string label;  // name and version of an image
  std::uint64_t bytes = 0;
};

struct GcReport {
  std::uint64_t ingests = 0;
  std::uint64_t blobs = 0;
  std::uint64_t trees = 0;
  std::uint64_t scratch = 0;
  std::uint64_t distributed = 0;
  std::uint64_t images = 0;
  std::uint64_t bytes = 0;  // of the blobs and partial files removed
  std::vector<GcItem> items;
};

// Images go by the quotas of the layout's namespace only (gc_quota.h). Of what is everybody's,
// nothing goes that an image or a pod of any namespace refers to, or in which a running process
// works.
GcReport collectGarbage(const StoreLayout& layout, const GcOptions& options, const Clock& clock);

struct FsckOptions {
  bool repair = false;
  // Bytes that were read, of how many; some times a second.
  std::function<void(std::uint64_t done, std::uint64_t total)> onProgress = {};
};

struct FsckReport {
  std::uint64_t images = 0;
  std::vector<std::string> broken;   // one line for each image that is not whole
  std::vector<std::string> mended;   // a line for each thing that was put right, by `repair` only
  std::uint64_t quarantined = 0;     // of the broken ones, by `repair` only
  std::vector<LostImage> lost;       // those of which it is known what they were
  std::vector<std::string> foreign;  // files that are none of ours, below the store
  std::uint64_t entriesAdded = 0;
  std::uint64_t entriesRemoved = 0;
  bool indexReplaced = false;                // it could not be opened
  std::vector<std::string> metadataDropped;  // as dropBadMetadata() says
};

// Reads all bytes of all images of all namespaces (fsck_image.h), without the store's lock. Then,
// under it, makes the index what the images' files say, whatever state it is in; broken images are
// left out of it. Metadata that must not be mounted is removed. With `repair`, what follows from
// other files is mended, images that stay broken go to the quarantine (quarantine.h), and links
// that lead nowhere are removed. Foreign files are left alone.
FsckReport checkStore(const StoreLayout& layout, const FsckOptions& options = {});

}  // namespace actool::cas
