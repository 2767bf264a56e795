// Taking in bundles: volumes come in any order and any number of times, and what is complete goes
// through the same door as every image (ingest.h), after what it depends on.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cas/aci_source.h"
#include "cas/bundle/bundle_format.h"
#include "cas/bundle/scratch.h"
#include "cas/bundle/volume_reader.h"
#include "cas/ingest.h"
#include "cas/store.h"
#include "core/base/json.h"

namespace actool::cas {

// An image that is in no store yet, and why.
struct MissingImage {
  schema::ImageId id;
  schema::AcIdentifier name;
  schema::Labels labels;
  Digest set;
  std::vector<Digest> pieces;               // that did not come
  std::uint64_t bytes = 0;                  // of them
  std::size_t allPieces = 0;                // of the image, its signature among them
  std::vector<std::uint64_t> volumes;       // that have them
  std::size_t allVolumes = 0;               // of the set
  bool assumed = false;                     // the set was made for a store that has this image
  std::optional<schema::ImageId> waitsFor;  // all pieces are there, but this dependency is not

  // One line: what is missing, and where it is.
  std::string describe() const;
  Json toJson() const;
};

struct ImportOutcome {
  std::vector<StoredImage> asked;     // images that the sets were made for, now in the store
  std::vector<MissingImage> missing;  // of all sets that were touched
};

struct ImportDoor {
  const StoreLayout& layout;
  const trust::Keystore& keystore;
  trust::SignatureVerifier* verifier;  // may be null when insecure
  const IngestLimits& limits;
  bool insecure;  // --insecure-options=image
};

struct ImportCallbacks {
  // An image was not let in, and why. It is not asked for again.
  std::function<void(const TrustError&)> onRefused;
  std::function<void(const StoredImage&)> onStored;
};

// One import, with the scratch's lock. Errors that are not about one volume or image (a full
// disk, say) leave everything as it is, for the next import to go on with.
class BundleImport : private VolumeVisitor {
 public:
  BundleImport(const ImportDoor& door, BundleScratch& scratch, ImportCallbacks callbacks)
      : door_(door), scratch_(scratch), callbacks_(std::move(callbacks)) {}

  // Takes in what is good of one volume, and then the images that are complete. TrustError when
  // something of the volume was not good.
  void addVolume(AciSource& source);
  // The sets that earlier imports left.
  void addPending();
  // Stores what can be stored, and removes what nothing needs any more.
  ImportOutcome finish();

 private:
  enum class State { wanted, present, refused };
  struct Use {
    std::uint64_t size = 0;
    std::size_t count = 0;  // of wanted images, each as often as it has the piece
  };
  struct Work {
    VolumeHeader header;
    ImageList list;
    std::vector<State> states;                  // of the images
    std::vector<bool> known;                    // images whose signer is a key we have
    std::unordered_map<std::string, Use> uses;  // of pieces, by hex
    bool touched = false;                       // by this import: to be reported
  };

  void begin(const VolumeHeader& header, const ImageList& list,
             std::string_view imagesJson) override;
  bool wants(const Digest& piece, bool isSignature) override;
  void piece(const Digest& piece, std::span<const std::byte> bytes) override;

  Work& workOn(const VolumeHeader& header, const ImageList& list);
  void checkSigners(Work& work);
  void complete(Work& work);
  bool isComplete(const Work& work, const BundleImage& image) const;
  void store(Work& work, std::size_t index);
  void settle(Work& work, std::size_t index, State state);
  void refuse(Work& work, std::size_t index, const TrustError& error);
  // The first dependency of an image that is not in the store.
  std::optional<schema::ImageId> lackedBy(const BundleImage& image) const;
  void report(const Work& work, ImportOutcome& outcome) const;

  const ImportDoor& door_;
  BundleScratch& scratch_;
  ImportCallbacks callbacks_;
  std::map<Digest, Work> work_;
  Work* current_ = nullptr;  // of the volume that is being read
  bool signersChecked_ = false;
};

}  // namespace actool::cas
