#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "cas/extract.h"
#include "cas/image_commands.h"
#include "cas/render_store.h"
#include "cas/store.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/own_root.h"
#include "core/cli/table.h"

namespace actool::cas {

namespace {

constexpr std::size_t kCopyBytes = 1 << 20;

StoredImage findImage(const StoreLayout& layout, const std::string& argument) {
  return StoreView(layout).catalog().resolve(argument);
}

void sayNotes(const RenderReport& report) {
  for (const auto& note : report.notes())
    log::warn("{}", note);
}

// --- cat-manifest ---

int catManifest(const std::string& argument, bool pretty, const cli::Globals& globals) {
  const StoreLayout layout = storeOf(globals);
  const StoredImage image = findImage(layout, argument);
  const std::string bytes = StoreReader(layout).manifestBytes(image.id);
  cli::print(pretty ? dumpPretty(parseJson(bytes, "manifest of " + image.id.shortForm())) + "\n"
                    : bytes);
  return 0;
}

// --- export ---

struct ExportOptions {
  std::string image;
  std::string file;
  bool distributed = false;
  bool signature = false;
  bool overwrite = false;
};

Path exportedFile(const StoreLayout& layout, const StoredImage& image,
                  const ExportOptions& options) {
  if (options.signature) {
    if (!image.signature) {
      throw NotFoundError(fmt::format("image {} has no signature", image.id.shortForm()),
                          "it came in with --insecure-options=image");
    }
    return layout.signatureFile(image.id);
  }
  if (!options.distributed) return layout.tarBlob(image.id);
  if (!image.distributed.kept) {
    throw NotFoundError(
        fmt::format("the file as distributed of {} was dropped", image.id.shortForm()),
        "fetch the image again, or export the tar (which the signature does not cover)");
  }
  return layout.blob(image.distributedBlob());
}

void copyAll(int from, int to, const std::string& source, const std::string& target) {
  std::vector<std::byte> buffer(kCopyBytes);
  while (const std::size_t got = readSome(from, buffer, source)) {
    writeAll(to, std::span<const std::byte>(buffer).first(got), target);
  }
}

int exportImage(const ExportOptions& options, const cli::Globals& globals) {
  const StoreLayout layout = storeOf(globals);
  const StoredImage image = findImage(layout, options.image);
  const Path source = exportedFile(layout, image, options);
  const UniqueFd from = openFile(source.string(), O_RDONLY);
  if (options.file == "-") {
    if (::isatty(STDOUT_FILENO) == 1) {
      throw UsageError("an image is not for a terminal", "redirect the output or name a file");
    }
    copyAll(from.get(), STDOUT_FILENO, source.string(), "standard output");
    return 0;
  }
  const Path target = options.file;
  if (actool::exists(target) && !options.overwrite) {
    throw Error(fmt::format("{} exists", target.string()), "use --overwrite to replace it");
  }
  // Into a neighbour first: who sees the file sees all of it.
  const Path parent = target.has_parent_path() ? target.parent_path() : Path(".");
  TempDir made(parent, ".actool-export.");
  const Path fresh = made.path() / "file";
  const UniqueFd to = openFile(fresh.string(), O_WRONLY | O_CREAT | O_EXCL, 0666);
  copyAll(from.get(), to.get(), source.string(), target.string());
  if (::rename(fresh.c_str(), target.c_str()) != 0) throwErrno("renaming to " + target.string());
  return 0;
}

// --- extract and render ---

struct ExtractOptions {
  std::string image;
  std::string dir;
  bool overwrite = false;
  bool rootfsOnly = false;
  std::string as = "tree";
};

// Makes `dir` with `fill`, in a neighbour that is renamed when it is whole.
template <typename Fn>
RenderReport makeTree(const ExtractOptions& options, Fn&& fill) {
  Path dir = options.dir;
  if (!dir.has_filename()) dir = dir.parent_path();  // "DIR/"
  if (actool::exists(dir)) {
    if (!options.overwrite) {
      throw Error(fmt::format("{} exists", dir.string()), "use --overwrite to replace it");
    }
    if (!std::filesystem::is_directory(std::filesystem::symlink_status(dir))) {
      throw Error(fmt::format("{} is not a directory", dir.string()));
    }
  }
  const Path parent = dir.has_parent_path() ? dir.parent_path() : Path(".");
  const TempDir made(parent, ".actool-extract.");
  RenderReport report = fill(made.path() / "tree");
  if (options.overwrite) removeTree(dir);
  if (!renameNoReplace(made.path() / "tree", dir)) {
    throw Error(fmt::format("{} exists", dir.string()), "use --overwrite to replace it");
  }
  return report;
}

int extract(const ExtractOptions& options, const cli::Globals& globals) {
  const StoreLayout layout = storeOf(globals);
  const StoredImage image = findImage(layout, options.image);
  sayNotes(makeTree(options, [&](const Path& dest) {
    return extractImage(image.id, layout.tarBlob(image.id), dest, options.rootfsOnly);
  }));
  return 0;
}

int render(const ExtractOptions& options, const cli::Globals& globals) {
  const bool erofs = options.as == "erofs";
  if (erofs && !options.dir.empty()) {
    throw UsageError("EROFS metadata lies in the store, beside the tars that it is about",
                     "leave DIR away");
  }
  // The tree is for pods, in which its owners are.
  if (!erofs && options.dir.empty()) becomeOwnRoot();
  const StoreLayout layout = storeOf(globals);
  const StoreView view(layout);
  const StoredImage image = view.catalog().resolve(options.image);
  if (options.dir.empty()) {
    if (options.overwrite || options.rootfsOnly) {
      throw UsageError("--overwrite and --rootfs-only are for a DIR outside of the store");
    }
    if (erofs) {
      const ErofsTree tree = makeErofsInStore(layout, image.id);
      sayNotes(tree.report);
      cli::print(tree.metadata.string() + "\n");
    } else {
      const RenderedTree tree = renderInStore(layout, image.id);
      sayNotes(tree.report);
      cli::print(tree.rootfs.string() + "\n");
    }
    view.reader().noteUse(image.id);
    return 0;
  }
  StoreResolver resolver(layout);
  const auto layers = planRender(image.id, resolver);
  sayNotes(makeTree(options, [&](const Path& dest) {
    if (options.rootfsOnly) return renderTree(layers, dest);
    makeDirs(dest);
    writeFilePlain(dest / "manifest", view.reader().manifestBytes(image.id));
    return renderTree(layers, dest / "rootfs");
  }));
  return 0;
}

void addExtractOptions(cli::Options& app, ExtractOptions& options) {
  app.add("image", options.image, "name with labels, image ID or prefix of one")
      .required()
      .typeName("IMAGE");
  app.flag("--overwrite", options.overwrite, "replace the directory if it is there");
  app.flag("--rootfs-only", options.rootfsOnly, "what is in rootfs, without the manifest");
}

}  // namespace

std::vector<cli::Subcommand> contentSubcommands() {
  std::vector<cli::Subcommand> list;
  list.push_back({.name = "image cat-manifest",
                  .summary = "Print the manifest of an image of the store",
                  .details = "Example:\n    actool image cat-manifest example.com/web:1.2.0",
                  .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
                    struct Options {
                      std::string image;
                      bool pretty = true;
                    };
                    auto options = std::make_shared<Options>();
                    app.add("image", options->image, "name with labels, image ID or prefix of one")
                        .required()
                        .typeName("IMAGE");
                    app.add("--pretty-print", options->pretty,
                            "indent it; false prints the bytes as they are in the image");
                    return [options, &globals] {
                      return catManifest(options->image, options->pretty, globals);
                    };
                  }});
  list.push_back({.name = "image export",
                  .summary = "Copy an image of the store to a file",
                  .details = "Writes the uncompressed tar. With --distributed, the file as it was "
                             "distributed, which the signature is over; with --signature, that "
                             "signature.\n\n"
                             "Example:\n"
                             "    actool image export --distributed example.com/web web.aci\n"
                             "    actool image export --signature example.com/web web.aci.asc",
                  .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
                    auto options = std::make_shared<ExportOptions>();
                    app.add("image", options->image, "name with labels, image ID or prefix of one")
                        .required()
                        .typeName("IMAGE");
                    app.add("file", options->file, "where to; - for standard output")
                        .required()
                        .typeName("FILE");
                    const auto distributed =
                        app.flag("--distributed", options->distributed, "the file as distributed");
                    app.flag("--signature", options->signature, "the detached signature")
                        .excludes(distributed);
                    app.flag("--overwrite", options->overwrite, "replace the file if it is there");
                    return [options, &globals] { return exportImage(*options, globals); };
                  }});
  list.push_back(
      {.name = "image extract",
       .summary = "Unpack an image of the store, as it is, into a directory",
       .details = "Without its dependencies; see 'actool image render'.\n\n"
                  "Example:\n    actool image extract example.com/web web",
       .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
         auto options = std::make_shared<ExtractOptions>();
         addExtractOptions(app, *options);
         app.add("dir", options->dir, "the directory to make").required().typeName("DIR");
         return [options, &globals] { return extract(*options, globals); };
       }});
  list.push_back(
      {.name = "image render",
       .summary = "Make the file tree of an image with its dependencies",
       .details =
           "Without DIR the tree is made in the store, once, where 'actool run' uses it, and its "
           "path is printed. With DIR it is made there, as 'image extract' does, for you to "
           "keep.\n\n"
           "With --as=erofs nothing is unpacked: what is made in the store is metadata of a file "
           "system whose files lie in the stored tars. Every import makes it, where it can.\n\n"
           "Example:\n    actool image render example.com/web",
       .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
         auto options = std::make_shared<ExtractOptions>();
         addExtractOptions(app, *options);
         app.add("--as", options->as, "unpacked, or as metadata to mount: tree or erofs")
             .typeName("FORM")
             .oneOf({"tree", "erofs"})
             .defaultFromTarget();
         app.add("dir", options->dir, "the directory to make").typeName("DIR");
         return [options, &globals] { return render(*options, globals); };
       }});
  return list;
}

}  // namespace actool::cas
