#include <fmt/format.h>

#include <memory>
#include <vector>

#include "cas/care.h"
#include "cas/image_commands.h"
#include "cas/refetch.h"
#include "cas/tree_care.h"
#include "core/base/duration.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/progress.h"
#include "core/base/strings.h"
#include "core/cli/table.h"
#include "core/record/image_arg.h"
#include "core/record/record.h"

namespace actool::cas {

namespace {

std::string describe(const StoredImage& image) {
  return fmt::format("{} ({})", image.id.str(), image.name.str());
}

// --- rm ---

// An ID needs no readable record: a broken image can be removed as well.
schema::ImageId idOf(const StoreWriter& writer, const std::string& argument) {
  const auto parsed = record::parseImageArg(argument);
  if (const auto* prefix = std::get_if<schema::ImageIdPrefix>(&parsed)) {
    return writer.reader().resolve(*prefix);
  }
  return writer.catalog().resolve(argument).id;
}

int remove(const std::vector<std::string>& arguments, bool force, const cli::Globals& globals) {
  // Before a store is created only to find nothing in it.
  for (const auto& argument : arguments) {
    const StoreView view(storeOf(globals));
    if (!view.reader().version()) view.catalog().resolve(argument);
  }
  becomeOwnerOfTrees(storeOf(globals));
  StoreWriter writer(storeOf(globals));
  std::vector<schema::ImageId> ids;
  for (const auto& argument : arguments) {
    schema::ImageId id = idOf(writer, argument);
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(std::move(id));
  }
  // All or none: nothing is removed when one of them can't be.
  for (const auto& id : ids) {
    if (force) break;
    for (const auto& user : usersOf(writer, id)) {
      const bool goesToo = std::any_of(ids.begin(), ids.end(), [&](const auto& other) {
        return user.find(other.shortForm()) != std::string::npos;
      });
      if (goesToo) continue;
      throw InUseError(fmt::format("image {} is needed by {}", id.shortForm(), user),
                       "remove that first, or use --force");
    }
  }
  for (const auto& id : ids) {
    writer.remove(id);
    log::info("removed image {}", id.str());
  }
  if (force) dropMetadataOver(writer.reader(), ids);
  return 0;
}

// --- verify ---

// One line about an image that is good.
using VerifyOne = std::function<std::string(const StoredImage&)>;

VerifyOne contentVerifier(const StoreLayout& layout) {
  return [layout](const StoredImage& image) {
    verifyContent(layout, image.id);
    return std::string("content is good");
  };
}

VerifyOne fullVerifier(const StoreLayout& layout, const cli::Globals& globals) {
  const auto keystore = std::make_shared<trust::Keystore>(globals.trustDirs());
  const std::shared_ptr<trust::SignatureVerifier> verifier =
      trust::makeOpenPgpVerifier(keystore->list());
  return [layout, keystore, verifier](const StoredImage& image) -> std::string {
    const VerifyReport report = verifyImage(layout, image, *keystore, *verifier);
    if (report.signature) {
      return fmt::format("content and signature are good, signed by {} ({})",
                         report.signature->signer.fingerprint, report.signature->key.rule.str());
    }
    if (!image.signature) return "content is good, never signed";
    return "content is good; the file as distributed was dropped, so the signature can't be "
           "checked";
  };
}

int verify(const std::vector<std::string>& arguments, bool contentOnly,
           const cli::Globals& globals) {
  const StoreLayout layout = storeOf(globals);
  becomeOwnerOfTrees(layout);
  const VerifyOne verifyOne = contentOnly ? contentVerifier(layout) : fullVerifier(layout, globals);
  std::vector<StoredImage> images;
  {
    const StoreView view(layout);
    for (const auto& argument : arguments)
      images.push_back(view.catalog().resolve(argument));
    if (arguments.empty()) images = view.catalog().list();
  }
  std::size_t bad = 0;
  for (const auto& image : images) {
    try {
      cli::print(fmt::format("{}: {}\n", describe(image), verifyOne(image)));
    } catch (const Error& error) {
      ++bad;
      log::error("{}: {}", describe(image), error.what());
    }
  }
  if (bad != 0) {
    throw TrustError(fmt::format("{} of {} images failed verification", bad, images.size()));
  }
  return 0;
}

// --- gc ---

struct GcArguments {
  std::string grace = "24h";
  std::string keepBytes;
  GcOptions options;
  std::optional<cli::Format> format;
};

void printItems(const GcReport& report, const GcArguments& arguments) {
  if (cli::effectiveFormat(arguments.format) == cli::Format::jsonl) {
    std::string lines;
    for (const auto& item : report.items) {
      Json line = {{"kind", "removed"},
                   {"what", item.what},
                   {"name", item.name},
                   {"bytes", item.bytes},
                   {"dryRun", arguments.options.dryRun}};
      if (!item.label.empty()) line["image"] = item.label;
      lines += dumpLine(line) + "\n";
    }
    cli::print(lines);
    return;
  }
  if (report.items.empty()) return;
  cli::Table table({"WHAT", "NAME", "IMAGE", "FREED"});
  for (const auto& item : report.items) {
    const bool image = item.what == "image";
    table.addRow({item.what, image ? schema::ImageId::parse(item.name).shortForm() : item.name,
                  item.label, formatByteSize(item.bytes)});
  }
  cli::print(table.render());
}

int gc(GcArguments arguments, const cli::Globals& globals) {
  GcOptions& options = arguments.options;
  options.grace = std::chrono::duration_cast<std::chrono::seconds>(
      requireDuration(arguments.grace, "--grace-period"));
  if (!arguments.keepBytes.empty()) {
    options.keepBytes = parseByteSize(arguments.keepBytes);
    if (!options.keepBytes) {
      throw UsageError(fmt::format("'{}' is no size", printable(arguments.keepBytes)),
                       "write \"20GiB\"");
    }
  }
  if (!actool::exists(storeOf(globals).versionFile())) return 0;
  becomeOwnerOfTrees(storeOf(globals));
  const GcReport report = collectGarbage(storeOf(globals), options, systemClock());
  printItems(report, arguments);
  if (report.distributed != 0 && !options.dryRun) {
    log::info(
        "{} images lost their file as distributed: they can't be seeded, mirrored, exported "
        "with --distributed or have their signature checked any more until they are fetched "
        "again",
        report.distributed);
  }
  log::info(
      "{} {} images, {} interrupted transfers, {} files, {} trees and {} scratch directories, {}",
      options.dryRun ? "would remove" : "removed", report.images, report.ingests, report.blobs,
      report.trees, report.scratch, formatByteSize(report.bytes));
  return 0;
}

// --- fsck ---

// A line from which 'actool fetch' gets the image again: where it came from, or its name.
std::string refetchLine(const StoredImage& image) {
  const schema::AppRef ref = image.requested.empty() ? schema::AppRef(image.name, image.labels)
                                                     : image.requested.back().ref;
  record::Discovered record{.requested = ref, .endpoints = {}, .keys = {}};
  for (auto source = image.sources.rbegin(); source != image.sources.rend(); ++source) {
    if (source->url.starts_with("https://") || source->url.starts_with("http://")) {
      record.endpoints.push_back({source->url, ""});
    }
  }
  return record.endpoints.empty() ? ref.str() : dumpLine(record.toJson());
}

// How many of the lost images are back: each comes to its own namespace, by that one's keys. The
// lines of the others go to standard output, as far as they are this namespace's.
std::size_t handleLost(const std::vector<LostImage>& lost, bool refetching,
                       const cli::Globals& globals) {
  std::size_t back = 0;
  for (const LostImage& one : lost) {
    cli::Globals its = globals;
    its.ns = one.ns;
    if (refetching && refetch(its, one)) {
      ++back;
    } else if (one.ns == globals.ns) {
      cli::print(refetchLine(one.image) + "\n");
    } else {
      const std::string name = schema::AppRef(one.image.name, one.image.labels).str();
      log::warn("lost in {}: get it again with 'actool --namespace={} fetch {}'",
                storeOf(its).describe(), its.ns.str(), name);
    }
  }
  return back;
}

int fsck(bool repair, bool refetching, const cli::Globals& globals) {
  if (!actool::exists(storeOf(globals).versionFile())) {
    // Refuses what is there under another version; else there is nothing to check.
    const StoreReader check(storeOf(globals));
    log::info("the store is empty");
    return 0;
  }
  becomeOwnerOfTrees(storeOf(globals));
  const auto progress = makeProgress(globals.progress, "checking images");
  const FsckReport report =
      checkStore(storeOf(globals),
                 {.repair = repair, .onProgress = [&](std::uint64_t done, std::uint64_t total) {
                    progress->update(done, total);
                  }});
  progress->finish();
  for (const auto& line : report.broken)
    log::error("{}", line);
  for (const auto& line : report.mended)
    log::warn("{}", line);
  for (const auto& line : report.metadataDropped)
    log::warn("removed metadata that is made again when it is needed: {}", line);
  for (const auto& file : report.foreign)
    log::warn("{} is not of the store; it is left alone", printable(file));
  log::info("{} images, {} of them broken; {} index entries added, {} removed{}", report.images,
            report.broken.size(), report.entriesAdded, report.entriesRemoved,
            report.indexReplaced ? "; the index was made anew" : "");
  if (report.broken.empty()) return 0;
  const std::size_t back = handleLost(report.lost, refetching, globals);
  if (repair) {
    const std::string quarantine = (storeOf(globals).dir() / "quarantine").string();
    if (back > 0) {
      log::info("{} images were fetched again; what was broken of them is in {}", back, quarantine);
    }
    const std::size_t gone = report.quarantined - back;
    if (gone == 0) return 0;
    throw TrustError(fmt::format("{} images were broken and are in {} now", gone, quarantine),
                     "fetch them again; what 'actool fetch' needs for that is on standard output");
  }
  throw TrustError(fmt::format("{} images are broken", report.broken.size()),
                   "'actool image fsck --repair' moves them out of the way");
}

struct Words {
  std::vector<std::string> images;
  bool flag = false;
};

struct FsckArguments {
  bool repair = false;
  bool refetch = false;
};

}  // namespace

std::vector<cli::Subcommand> careSubcommands() {
  std::vector<cli::Subcommand> list;
  list.push_back(
      {.name = "image rm",
       .summary = "Remove images from the store",
       .details =
           "Refuses (exit code 250) while a pod or another image of the store needs one of them, "
           "unless --force is given. Rendered trees go with the next 'actool image gc'.\n\n"
           "Example:\n    actool image rm example.com/web:1.2.0 sha512-a03f6b",
       .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
         auto words = std::make_shared<Words>();
         app.add("image", words->images, "names with labels, image IDs or prefixes")
             .required()
             .typeName("IMAGE...");
         app.flag("--force", words->flag, "even if something needs it");
         return [words, &globals] { return remove(words->images, words->flag, globals); };
       }});
  list.push_back(
      {.name = "image verify",
       .summary = "Check images of the store against their IDs and signatures",
       .details = "Reads every byte: the tar against the image ID, what is mounted of it against "
                  "what it makes, the file as distributed against its digest, and the signature "
                  "against the keys that are trusted now. All images when none is named. Exit "
                  "code 253 when one fails.\n\n"
                  "Example:\n    actool image verify example.com/web",
       .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
         auto words = std::make_shared<Words>();
         app.add("image", words->images, "names with labels, image IDs or prefixes")
             .typeName("IMAGE...");
         app.flag("--content", words->flag,
                  "only what pods are made of, not the file as distributed and its signature");
         return [words, &globals] { return verify(words->images, words->flag, globals); };
       }});
  list.push_back(
      {.name = "image gc",
       .summary = "Remove what nothing needs from the store",
       .details =
           "Interrupted transfers, files and trees that no image or pod refers to, once they "
           "are older than the grace period. Images are removed by the two quotas only, the "
           "least recently used first, and never one that a pod, a lease or an image that stays "
           "needs, nor one that was fetched or used within the grace period. Prints what was "
           "removed: a table on a terminal, otherwise one record a line.\n\n"
           "Example:\n    actool image gc --grace-period=48h\n"
           "    actool image gc --keep-last=3 --keep-bytes=20GiB --dry-run",
       .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
         auto arguments = std::make_shared<GcArguments>();
         app.add("--grace-period", arguments->grace, "how long to keep what might be used again")
             .defaultFromTarget();
         app.add("--keep-bytes", arguments->keepBytes,
                 "remove images until the rest takes no more than that")
             .typeName("SIZE");
         app.add("--keep-last", arguments->options.keepLast,
                 "remove images of each name but the N of the highest versions")
             .typeName("N");
         app.flag("--drop-distributed", arguments->options.dropDistributed,
                  "and compressed files as distributed: the tars stay");
         app.flag("--dry-run", arguments->options.dryRun, "tell what would go, and remove nothing");
         cli::addFormatOption(app, arguments->format, {cli::Format::table, cli::Format::jsonl});
         return [arguments, &globals] { return gc(*arguments, globals); };
       }});
  list.push_back(
      {.name = "image fsck",
       .summary = "Check the store's files and rebuild its index from them",
       .details =
           "Reads every byte of every image, and makes the index what the files say. Exit code "
           "253 when an image is not whole. Metadata that must not be mounted is removed; it is "
           "made again when it is needed. With --repair, what follows from other files is mended, "
           "and images that stay broken are moved to the store's directory quarantine/; for each "
           "a line is printed from which 'actool fetch' gets it again. With --refetch that is done "
           "at once: the very same images, in their namespaces, from where they came, verified as "
           "ever.\n\n"
           "Example:\n    actool image fsck\n    actool image fsck --refetch",
       .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
         auto arguments = std::make_shared<FsckArguments>();
         app.flag("--repair", arguments->repair,
                  "mend what can be mended, move the rest out of the way");
         app.flag("--refetch", arguments->refetch,
                  "repair, then run 'actool fetch' for what was moved out of the way");
         return [arguments, &globals] {
           return fsck(arguments->repair || arguments->refetch, arguments->refetch, globals);
         };
       }});
  return list;
}

}  // namespace actool::cas
