#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "cas/image_commands.h"
#include "cas/layout/audit.h"
#include "cas/store.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/cli/table.h"
#include "core/schema/app_ref.h"
#include "core/schema/timestamp.h"

namespace actool::cas {

namespace {

using cli::Format;

// --- list ---

struct ListOptions {
  std::optional<Format> format;
  bool full = false;
  bool noLegend = false;
  std::vector<std::string> fields = {"id", "name", "importtime", "lastused", "size", "signed"};
  std::string sort = "importtime";
  std::string order = "asc";
};

std::string age(const std::string& rfc3339) {
  if (rfc3339.empty()) return "never";
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(
                           systemClock().now() - schema::Timestamp::parse(rfc3339).time())
                           .count();
  const auto ago = [](std::int64_t count, std::string_view unit) {
    return fmt::format("{} {}{} ago", count, unit, count == 1 ? "" : "s");
  };
  if (seconds < 60) return "just now";
  if (seconds < 3600) return ago(seconds / 60, "minute");
  if (seconds < 86400) return ago(seconds / 3600, "hour");
  return ago(seconds / 86400, "day");
}

std::string nameAndVersion(const record::Image& image) {
  const auto version = image.labels.get("version");
  return version ? fmt::format("{}:{}", image.name.str(), printable(*version)) : image.name.str();
}

// An image with what its record says more.
struct Row {
  record::Image image;
  Import import;  // the latest
  std::string trustRule;
};

struct Field {
  std::string_view name;
  std::string_view header;
  std::string (*cell)(const Row& row, bool full);
  // By what it is sorted.
  std::string (*key)(const Row& row);
};

std::string requestedAs(const Row& row) {
  return row.image.requested ? printable(row.image.requested->str()) : std::string();
}

std::string latestSource(const Row& row) {
  return row.image.sources.empty() ? std::string() : auditSource(row.image.sources.back());
}

const std::vector<Field>& allFields() {
  static const std::vector<Field> kFields = {
      {"id", "ID",
       [](const Row& row, bool full) {
         return full ? row.image.id.str() : row.image.id.shortForm();
       },
       [](const Row& row) { return row.image.id.str(); }},
      {"name", "NAME", [](const Row& row, bool) { return nameAndVersion(row.image); },
       [](const Row& row) { return nameAndVersion(row.image); }},
      {"importtime", "IMPORT TIME",
       [](const Row& row, bool full) {
         return full ? row.image.imported : age(row.image.imported);
       },
       [](const Row& row) { return row.image.imported; }},
      {"lastused", "LAST USED",
       [](const Row& row, bool full) {
         return full && !row.image.lastUsed.empty() ? row.image.lastUsed : age(row.image.lastUsed);
       },
       [](const Row& row) { return row.image.lastUsed; }},
      {"size", "SIZE",
       [](const Row& row, bool full) {
         return full ? fmt::to_string(row.image.tarSize) : formatByteSize(row.image.tarSize);
       },
       [](const Row& row) { return fmt::format("{:020}", row.image.tarSize); }},
      {"signed", "SIGNED BY",
       [](const Row& row, bool full) {
         if (row.image.signedBy.empty()) return std::string("unverified");
         return full ? row.image.signedBy
                     : row.image.signedBy.substr(
                           row.image.signedBy.size() -
                           std::min<std::size_t>(row.image.signedBy.size(), 16));
       },
       [](const Row& row) { return row.image.signedBy; }},
      {"requested", "REQUESTED AS", [](const Row& row, bool) { return requestedAs(row); },
       [](const Row& row) { return requestedAs(row); }},
      {"source", "SOURCE", [](const Row& row, bool) { return latestSource(row); },
       [](const Row& row) { return latestSource(row); }},
      {"rule", "TRUSTED BY", [](const Row& row, bool) { return printable(row.trustRule); },
       [](const Row& row) { return row.trustRule; }},
      {"importedby", "IMPORTED BY",
       [](const Row& row, bool full) {
         if (row.import.at.empty()) return std::string();
         if (full || row.import.by.name.empty()) return row.import.by.describe();
         return printable(row.import.by.name);
       },
       [](const Row& row) { return row.import.by.name; }},
      {"via", "VIA", [](const Row& row, bool) { return printable(row.import.via); },
       [](const Row& row) { return row.import.via; }}};
  return kFields;
}

const Field& fieldNamed(const std::string& name) {
  std::vector<std::string> names;
  for (const Field& field : allFields()) {
    if (field.name == name) return field;
    names.emplace_back(field.name);
  }
  throw UsageError(fmt::format("there is no field '{}'", printable(name)),
                   "there are " + join(names, ", "));
}

void printTable(const std::vector<Row>& images, const ListOptions& options) {
  std::vector<std::string> header;
  for (const auto& name : options.fields)
    header.emplace_back(fieldNamed(name).header);
  cli::Table table(std::move(header));
  for (const auto& image : images) {
    std::vector<std::string> cells;
    for (const auto& name : options.fields) {
      cells.push_back(fieldNamed(name).cell(image, options.full));
    }
    table.addRow(std::move(cells));
  }
  cli::print(table.render(!options.noLegend));
}

int list(const ListOptions& options, const cli::Globals& globals) {
  const StoreView view(storeOf(globals));
  std::vector<Row> rows;
  for (const auto& image : view.catalog().list()) {
    rows.push_back({.image = view.catalog().record(image),
                    .import = image.imports.empty() ? Import{} : image.imports.back(),
                    .trustRule = image.signature ? image.signature->trustRule : std::string()});
  }
  const Field& by = fieldNamed(options.sort);
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const auto& a, const auto& b) { return by.key(a) < by.key(b); });
  if (options.order == "desc") std::reverse(rows.begin(), rows.end());

  switch (cli::effectiveFormat(options.format)) {
    case Format::table:
      printTable(rows, options);
      break;
    // At once: a write(2) for each line would take longer than all else.
    case Format::id: {
      std::string lines;
      for (const auto& row : rows)
        lines += row.image.id.str() + "\n";
      cli::print(lines);
      break;
    }
    case Format::jsonl: {
      std::string lines;
      for (const auto& row : rows)
        lines += dumpLine(row.image.toJson()) + "\n";
      cli::print(lines);
      break;
    }
    case Format::json:
    case Format::jsonPretty: {
      Json all = Json::array();
      for (const auto& row : rows)
        all.push_back(row.image.toJson());
      cli::print(
          (cli::effectiveFormat(options.format) == Format::json ? dumpLine(all) : dumpPretty(all)) +
          "\n");
      break;
    }
  }
  return 0;
}

// --- resolve ---

int resolve(const std::string& argument, const std::optional<Format>& format,
            const cli::Globals& globals) {
  const StoreView view(storeOf(globals));
  const StoredImage image = view.catalog().resolve(argument);
  if (cli::effectiveFormat(format) == Format::id) {
    cli::print(image.id.str() + "\n");
    return 0;
  }
  record::Image record = view.catalog().record(image);
  // What was asked for now: the next tool checks the answer against it.
  // An image ID has the form of a name too; only a name was asked for as one.
  if (!schema::ImageIdPrefix::tryParse(argument)) {
    if (auto ref = schema::AppRef::tryParse(argument)) record.requested = std::move(*ref);
  }
  cli::print(dumpLine(record.toJson()) + "\n");
  return 0;
}

}  // namespace

cli::Subcommand listSubcommand() {
  return {
      .name = "image list",
      .summary = "List the images of the store",
      .details =
          "A table on a terminal, otherwise one record a line (docs/pipe-records.md).\n\n"
          "Example:\n"
          "    actool image list --sort=size --order=desc\n"
          "    actool image list --fields=name,source,rule,importedby --no-legend\n"
          "    actool image list --format=id",
      .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
        auto options = std::make_shared<ListOptions>();
        cli::addFormatOption(
            app, options->format,
            {Format::table, Format::jsonl, Format::id, Format::json, Format::jsonPretty});
        app.flag("--full", options->full, "whole IDs, exact times and sizes");
        app.flag("--no-legend", options->noLegend, "no header line");
        app.add("--fields", options->fields,
                "columns: id, name, importtime, lastused, size, signed, requested, source, rule, "
                "importedby, via")
            .delimiter(',');
        app.add("--sort", options->sort, "the field to sort by").typeName("FIELD");
        app.add("--order", options->order, "asc or desc").oneOf({"asc", "desc"});
        return [options, &globals] { return list(*options, globals); };
      }};
}

cli::Subcommand resolveSubcommand() {
  return {.name = "image resolve",
          .summary = "Find the image of the store that a name or ID means",
          .details =
              "Prints the record of the one image that matches. Of several that match a name "
              "without a version it is the one that was itself asked for without a version, else "
              "the highest version, else the one imported last. Exit code 252 when there is "
              "none.\n\n"
              "Example:\n"
              "    actool image resolve example.com/web:1.2.0 --format=id",
          .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
            struct Options {
              std::string image;
              std::optional<Format> format;
            };
            auto options = std::make_shared<Options>();
            app.add("image", options->image, "name with labels, image ID or prefix of one")
                .required()
                .typeName("IMAGE");
            cli::addFormatOption(app, options->format, {Format::jsonl, Format::id});
            return
                [options, &globals] { return resolve(options->image, options->format, globals); };
          }};
}

}  // namespace actool::cas
