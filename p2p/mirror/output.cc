#include "p2p/mirror/output.h"

#include "core/base/strings.h"
#include "core/cli/table.h"

namespace actool::mirror {
namespace {

std::string_view name(Change change) {
  switch (change) {
    case Change::added:
      return "added";
    case Change::replaced:
      return "replaced";
    case Change::removed:
      break;
  }
  return "removed";
}

std::string shown(const schema::AcIdentifier& imageName, const record::ListedImage& image) {
  return schema::AppRef(imageName, image.labels).str();
}

std::string shortId(const record::ListedImage& image) {
  return image.id ? image.id->shortForm() : std::string();
}

Json imageJson(const schema::AcIdentifier& imageName, const record::ListedImage& image) {
  Json object = {{"kind", "mirrored"},
                 {"name", imageName.str()},
                 {"labels", image.labels.toObject()},
                 {"size", image.size}};
  if (image.id) object["id"] = image.id->str();
  return object;
}

}  // namespace

void printChanges(const SyncReport& report, bool dryRun, cli::Format format) {
  std::string lines;
  if (format == cli::Format::table) {
    cli::Table table({"CHANGE", "WHAT", "SIZE", "ID"});
    for (const ChangeLine& line : report.changes) {
      table.addRow({std::string(name(line.change)), shown(line.name, line.image),
                    formatByteSize(line.image.size), shortId(line.image)});
    }
    for (const Removed& removed : report.pruned)
      table.addRow(
          {dryRun ? "would go" : "pruned", removed.path, formatByteSize(removed.bytes), ""});
    lines = table.render();
  } else {
    for (const ChangeLine& line : report.changes) {
      Json object = imageJson(line.name, line.image);
      object["change"] = name(line.change);
      lines += dumpLine(object) + "\n";
    }
    for (const Removed& removed : report.pruned) {
      lines += dumpLine({{"kind", "removed"},
                         {"what", "file"},
                         {"name", removed.path},
                         {"bytes", removed.bytes},
                         {"dryRun", dryRun}}) +
               "\n";
    }
  }
  cli::print(lines);
}

void printList(const std::vector<record::Versions>& names, cli::Format format) {
  cli::Table table({"IMAGE", "SIZE", "ID", "SIGNED BY", "KEPT AS"});
  std::string lines;
  for (const record::Versions& versions : names) {
    lines += dumpLine(versions.toJson()) + "\n";
    for (const record::ListedImage& image : versions.images) {
      const std::size_t skip =
          image.signedBy.size() - std::min<std::size_t>(16, image.signedBy.size());
      table.addRow({shown(versions.name, image), formatByteSize(image.size), shortId(image),
                    image.signedBy.substr(skip), image.added ? "added" : "followed"});
    }
  }
  cli::print(format == cli::Format::table ? table.render() : lines);
}

void printChecked(const std::vector<Checked>& images, cli::Format format) {
  cli::Table table({"IMAGE", "STATE"});
  std::string lines;
  for (const Checked& checked : images) {
    const std::string state = checked.why.empty() ? "good" : "bad";
    table.addRow({shown(checked.name, checked.image), state});
    Json object = imageJson(checked.name, checked.image);
    object["state"] = state;
    if (!checked.why.empty()) object["why"] = checked.why;
    lines += dumpLine(object) + "\n";
  }
  cli::print(format == cli::Format::table ? table.render() : lines);
}

}  // namespace actool::mirror
