#include "cas/bundle/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cas/bundle/piece_feeder.h"
#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::cas {

namespace {

// Whether the store has all of the image that the bundle could bring.
bool isThere(const StoreView& view, const BundleImage& image, bool insecure) {
  const auto stored = view.catalog().find(image.id);
  if (!stored) return false;
  return stored->signature || !image.signature || insecure;
}

// "2, 3 and 7", "2 to 5".
std::string numbers(const std::vector<std::uint64_t>& list) {
  if (list.size() > 2 && list.back() - list.front() + 1 == list.size()) {
    return fmt::format("{} to {}", list.front(), list.back());
  }
  constexpr std::size_t kShown = 20;
  std::string text;
  for (std::size_t i = 0; i < std::min(list.size(), kShown); ++i) {
    if (i != 0) text += i + 1 == list.size() ? " and " : ", ";
    text += std::to_string(list[i]);
  }
  return list.size() > kShown ? text + ", ..." : text;
}

}  // namespace

std::string MissingImage::describe() const {
  const AssumedImage self{.id = id, .name = name, .labels = labels};
  if (assumed) {
    return self.describe() +
           " is missing: the bundle was made for a store that has it; make a new request with "
           "'actool bundle want'";
  }
  if (waitsFor) return fmt::format("{} waits for {}", self.describe(), waitsFor->shortForm());
  std::string where;
  if (allVolumes > 1) {
    where = fmt::format(", in volume{} {} of {}", volumes.size() == 1 ? "" : "s", numbers(volumes),
                        allVolumes);
  }
  return fmt::format("{}: {} of {} pieces are missing ({}){}", self.describe(), pieces.size(),
                     allPieces, formatByteSize(bytes), where);
}

Json MissingImage::toJson() const {
  Json hexes = Json::array();
  for (const auto& piece : pieces)
    hexes.push_back(piece.hex());
  Json object = {{"kind", "missing"},        {"id", id.str()},
                 {"name", name.str()},       {"labels", labels.toObject()},
                 {"set", set.hex()},         {"pieces", hexes},
                 {"bytes", bytes},           {"volumes", volumes},
                 {"allVolumes", allVolumes}, {"assumed", assumed}};
  if (waitsFor) object["waitsFor"] = waitsFor->str();
  return object;
}

// --- volumes ---

void BundleImport::addVolume(AciSource& source) {
  current_ = nullptr;
  signersChecked_ = false;
  readVolume(source, *this);
  complete(*current_);
}

void BundleImport::addPending() {
  for (const auto& set : scratch_.sets())
    workOn(set.header, set.list).touched = true;
}

BundleImport::Work& BundleImport::workOn(const VolumeHeader& header, const ImageList& list) {
  const auto [found, fresh] = work_.try_emplace(
      header.set, Work{.header = header, .list = list, .states = {}, .known = {}, .uses = {}});
  Work& work = found->second;
  if (!fresh) return work;
  work.states.assign(list.images.size(), State::wanted);
  work.known.assign(list.images.size(), door_.insecure);
  for (const auto& image : list.images) {
    for (std::size_t i = 0; i < image.pieces.size(); ++i) {
      Use& use = work.uses[image.pieces[i].hex()];
      use.size = image.pieceSize(i);
      ++use.count;
    }
    if (image.signature) {
      Use& use = work.uses[image.signature->piece.hex()];
      use.size = image.signature->size;
      ++use.count;
    }
  }
  const StoreView view(door_.layout);
  for (std::size_t i = 0; i < list.images.size(); ++i) {
    if (isThere(view, list.images[i], door_.insecure)) settle(work, i, State::present);
  }
  for (std::size_t i = 0; i < list.images.size(); ++i) {
    if (work.states[i] != State::wanted || list.images[i].signature || door_.insecure) continue;
    refuse(work, i,
           TrustError("there is no signature", "allow any bytes with --insecure-options=image"));
  }
  return work;
}

void BundleImport::begin(const VolumeHeader& header, const ImageList& list,
                         std::string_view imagesJson) {
  current_ = &workOn(header, list);
  current_->touched = true;
  const auto& states = current_->states;
  if (std::find(states.begin(), states.end(), State::wanted) != states.end()) {
    scratch_.putSet(header, imagesJson);
  }
}

bool BundleImport::wants(const Digest& piece, bool isSignature) {
  // Bytes that nobody we know has signed are not even kept for a while.
  if (!isSignature && !signersChecked_) {
    checkSigners(*current_);
    signersChecked_ = true;
  }
  const Use& use = current_->uses.at(piece.hex());
  return use.count != 0 && !scratch_.has(piece, use.size);
}

void BundleImport::piece(const Digest& piece, std::span<const std::byte> bytes) {
  scratch_.putPiece(piece, bytes);
}

void BundleImport::checkSigners(Work& work) {
  for (std::size_t i = 0; i < work.list.images.size(); ++i) {
    const BundleImage& image = work.list.images[i];
    if (work.states[i] != State::wanted || work.known[i]) continue;
    const auto signature = scratch_.piece(image.signature->piece, image.signature->size);
    if (!signature) {
      throw TrustError(
          fmt::format("there is no good copy of the signature of {} in front of the pieces",
                      image.describe()),
          "import a good copy of the volume");
    }
    try {
      door_.verifier->precheck(*signature);
      work.known[i] = true;
    } catch (const TrustError& error) {
      refuse(work, i, error);
    }
  }
}

// --- images ---

void BundleImport::settle(Work& work, std::size_t index, State state) {
  work.states[index] = state;
  const bool alone = !scratch_.hasOtherThan(work.header.set);
  const BundleImage& image = work.list.images[index];
  const auto drop = [&](const Digest& piece) {
    // Of several sets only finish() knows what they have in common.
    if (--work.uses.at(piece.hex()).count == 0 && alone) scratch_.removePiece(piece);
  };
  for (const auto& piece : image.pieces)
    drop(piece);
  if (image.signature) drop(image.signature->piece);
}

void BundleImport::refuse(Work& work, std::size_t index, const TrustError& error) {
  settle(work, index, State::refused);
  TrustError full = error;
  full.addContext(work.list.images[index].describe());
  callbacks_.onRefused(full);
  const schema::ImageId& refused = work.list.images[index].id;
  for (std::size_t i = index + 1; i < work.list.images.size(); ++i) {
    const auto& dependencies = work.list.images[i].dependencies;
    if (work.states[i] != State::wanted) continue;
    if (std::find(dependencies.begin(), dependencies.end(), refused) == dependencies.end())
      continue;
    refuse(work, i,
           TrustError(fmt::format("it depends on {}, which was refused", refused.shortForm())));
  }
}

bool BundleImport::isComplete(const Work& work, const BundleImage& image) const {
  const auto has = [&](const Digest& piece) {
    return scratch_.has(piece, work.uses.at(piece.hex()).size);
  };
  return (!image.signature || has(image.signature->piece)) &&
         std::all_of(image.pieces.begin(), image.pieces.end(), has);
}

std::optional<schema::ImageId> BundleImport::lackedBy(const BundleImage& image) const {
  if (image.dependencies.empty()) return std::nullopt;
  const StoreReader reader(door_.layout);
  for (const auto& dependency : image.dependencies) {
    if (!reader.has(dependency)) return dependency;
  }
  return std::nullopt;
}

void BundleImport::complete(Work& work) {
  for (std::size_t i = 0; i < work.list.images.size(); ++i) {
    const BundleImage& image = work.list.images[i];
    if (work.states[i] == State::wanted && isComplete(work, image) && !lackedBy(image)) {
      store(work, i);
    }
  }
}

void BundleImport::store(Work& work, std::size_t index) {
  const BundleImage& image = work.list.images[index];
  IngestRequest request;
  request.insecure = door_.insecure;
  if (!door_.insecure) {
    request.signature = scratch_.piece(image.signature->piece, image.signature->size);
    if (!request.signature) return;
  }
  request.imageId = image.id;
  request.source = "bundle:" + work.header.set.hex();
  request.via = "actool-bundle:volume";
  request.size = image.size;
  request.inputName = "the bundle";

  PieceFeeder feeder(scratch_, image);
  request.input = feeder.fd();
  try {
    const StoredImage stored = Ingest(door_.layout, door_.keystore, door_.verifier, door_.limits)
                                   .run(request, {.onWaiting = [](std::uint64_t) {},
                                                  .onOffset = [](std::uint64_t) {},
                                                  .onProgress = {}});
    settle(work, index, State::present);
    callbacks_.onStored(stored);
  } catch (const TrustError& error) {
    feeder.stop();
    // It is missing again, which finish() reports.
    if (feeder.lacking()) return;
    try {
      feeder.check();
    } catch (const TrustError& reason) {
      refuse(work, index, reason);
      return;
    }
    refuse(work, index, error);
  }
}

// --- the end ---

void BundleImport::report(const Work& work, ImportOutcome& outcome) const {
  const StoreView view(door_.layout);
  for (const auto& id : work.list.asked) {
    if (auto image = view.catalog().find(id)) outcome.asked.push_back(std::move(*image));
  }
  const auto base = [&](const auto& image) {
    return MissingImage{.id = image.id,
                        .name = image.name,
                        .labels = image.labels,
                        .set = work.header.set,
                        .pieces = {},
                        .volumes = {},
                        .allVolumes = work.header.starts.size(),
                        .waitsFor = {}};
  };
  for (const auto& image : work.list.assumed) {
    if (view.reader().has(image.id)) continue;
    outcome.missing.push_back(base(image));
    outcome.missing.back().assumed = true;
  }
  std::unordered_map<std::string, std::uint64_t> volumeOf;
  const auto pieces = work.list.pieces();
  for (std::size_t i = 0; i < pieces.size(); ++i)
    volumeOf.emplace(pieces[i].digest.hex(), work.header.volumeOf(i));

  for (std::size_t i = 0; i < work.list.images.size(); ++i) {
    if (work.states[i] != State::wanted) continue;
    const BundleImage& image = work.list.images[i];
    MissingImage missing = base(image);
    missing.allPieces = image.pieces.size() + (image.signature ? 1 : 0);
    std::set<std::uint64_t> volumes;
    for (std::size_t k = 0; k < image.pieces.size(); ++k) {
      if (scratch_.has(image.pieces[k], image.pieceSize(k))) continue;
      missing.pieces.push_back(image.pieces[k]);
      missing.bytes += image.pieceSize(k);
      volumes.insert(volumeOf.at(image.pieces[k].hex()));
    }
    if (image.signature && !scratch_.has(image.signature->piece, image.signature->size)) {
      missing.pieces.push_back(image.signature->piece);
      missing.bytes += image.signature->size;
      for (std::uint64_t volume = 1; volume <= missing.allVolumes; ++volume)
        volumes.insert(volume);
    }
    missing.volumes.assign(volumes.begin(), volumes.end());
    if (missing.pieces.empty()) missing.waitsFor = lackedBy(image);
    outcome.missing.push_back(std::move(missing));
  }
}

ImportOutcome BundleImport::finish() {
  // What came may have been all that an earlier set still needed.
  for (const auto& set : scratch_.sets())
    workOn(set.header, set.list);
  for (auto& [set, work] : work_)
    complete(work);
  ImportOutcome outcome;
  for (const auto& [set, work] : work_) {
    if (work.touched) report(work, outcome);
  }

  const StoreView view(door_.layout);
  scratch_.keepOnly([&](const Digest& set, const BundleImage& image) {
    if (const auto work = work_.find(set); work != work_.end()) {
      const auto& images = work->second.list.images;
      for (std::size_t i = 0; i < images.size(); ++i) {
        if (images[i].id == image.id) return work->second.states[i] == State::wanted;
      }
    }
    return !isThere(view, image, door_.insecure);
  });
  if (!scratch_.isEmpty()) scratch_.sync();
  return outcome;
}

}  // namespace actool::cas
