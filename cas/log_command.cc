#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "cas/image_commands.h"
#include "cas/layout/audit.h"
#include "cas/store.h"
#include "core/base/clock.h"
#include "core/base/duration.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/cli/table.h"

namespace actool::cas {

namespace {

// --- log ---

// A line of a pod with very many apps is the longest that is written.
constexpr std::size_t kMaxLogLineBytes = 1 << 20;
constexpr std::size_t kPrintBytes = 1 << 20;

struct LogOptions {
  std::vector<std::string> events;
  std::string image;
  std::string since;
  bool allNamespaces = false;
  std::optional<cli::Format> format;
};

class LogFilter {
 public:
  LogFilter(const LogOptions& options, const cli::Globals& globals)
      : events_(options.events), image_(options.image) {
    if (!options.allNamespaces) ns_ = globals.ns.str();
    if (!options.since.empty()) {
      since_ = formatRfc3339(systemClock().now() - requireDuration(options.since, "--since"));
    }
  }

  bool takes(const Json& line) const {
    const auto text = [&](const char* key) { return stringMemberOr(line, key, ""); };
    if (!ns_.empty() && text("namespace") != ns_) return false;
    // One width and one zone: the order of text is that of time.
    if (text("at") < since_) return false;
    const auto event = text("event");
    if (!events_.empty() && std::find(events_.begin(), events_.end(), event) == events_.end()) {
      return false;
    }
    return image_.empty() || isOf(line);
  }

 private:
  // By image ID or its beginning, or by name with or without labels.
  bool isOf(const Json& line) const {
    const auto matches = [&](const std::string& value) {
      return value.starts_with(image_) &&
             (image_.starts_with("sha512-") || value.size() == image_.size() ||
              value[image_.size()] == ':' || value[image_.size()] == ',');
    };
    for (const char* key : {"image", "name", "requested"}) {
      if (matches(stringMemberOr(line, key, ""))) return true;
    }
    if (!line.contains("images")) return false;
    const Json& images = listMember(line, "images");
    return std::any_of(images.begin(), images.end(), [&](const Json& image) {
      return image.is_string() && matches(image.get<std::string>());
    });
  }

  std::vector<std::string> events_;
  std::string image_;
  std::string ns_;
  std::string since_;
};

// The image, or those of a pod, as few words.
std::string imageOf(const Json& line) {
  const std::string name = stringMemberOr(line, "name", stringMemberOr(line, "requested", ""));
  if (!name.empty()) return printable(name);
  const auto shortId = [](const std::string& text) {
    const auto id = schema::ImageId::tryParse(text);
    return id ? id->shortForm() : printable(text);
  };
  if (line.contains("image")) return shortId(stringMember(line, "image"));
  std::vector<std::string> ids;
  if (line.contains("images")) {
    for (const Json& image : listMember(line, "images"))
      ids.push_back(image.is_string() ? shortId(image.get<std::string>()) : "?");
  }
  return join(ids, ",");
}

std::string detailsOf(const Json& line) {
  std::vector<std::string> parts;
  for (const char* key : {"result", "via", "source", "trustRule", "by", "why", "pod"}) {
    const std::string value = stringMemberOr(line, key, "");
    if (!value.empty()) parts.push_back(fmt::format("{} {}", key, printable(value)));
  }
  return join(parts, ", ");
}

std::string userOf(const Json& line) {
  const auto number = [&](const char* key) -> std::string {
    return line.contains(key) && line[key].is_number_unsigned() ? line[key].dump() : "";
  };
  const std::string sudo = number("sudoUid");
  return sudo.empty() ? number("uid") : number("uid") + " for " + sudo;
}

int showLog(const LogOptions& options, const cli::Globals& globals) {
  const Path file = storeOf(globals).auditLog();
  const LogFilter filter(options, globals);
  const bool asTable = cli::effectiveFormat(options.format) == cli::Format::table;
  cli::Table table({"AT", "EVENT", "NAMESPACE", "UID", "IMAGE", "DETAILS"});
  std::string out;
  std::size_t bad = 0;
  const UniqueFd fd = tryOpen(file.string(), O_RDONLY);
  if (fd) {
    forEachLine(fd.get(), kMaxLogLineBytes, file.string(), [&](std::string_view text) {
      if (text.empty()) return;
      try {
        const Json line = parseJson(text, "line");
        if (!filter.takes(line)) return;
        if (asTable) {
          table.addRow({printable(stringMember(line, "at")), printable(stringMember(line, "event")),
                        printable(stringMember(line, "namespace")), userOf(line), imageOf(line),
                        detailsOf(line)});
          return;
        }
        out.append(text).push_back('\n');
      } catch (const Error& error) {
        // A full disk cuts a line; that hides none of the others.
        log::debug("{}", error.what());
        ++bad;
      }
      if (out.size() < kPrintBytes) return;
      cli::print(out);
      out.clear();
    });
  }
  cli::print(asTable ? table.render() : out);
  if (bad != 0) log::warn("{}: {} lines can't be read", file.string(), bad);
  return 0;
}

// --- namespaces ---

int listNamespaces(const std::optional<cli::Format>& format, const cli::Globals& globals) {
  const StoreLayout layout = storeOf(globals);
  const cli::Format chosen = cli::effectiveFormat(format);
  cli::Table table({"NAMESPACE", "IMAGES", "SIZE"});
  std::string lines;
  for (const auto& ns : namespacesOf(layout)) {
    const auto images = StoreView(layout.in(ns)).catalog().list();
    std::uint64_t bytes = 0;
    for (const auto& image : images) {
      bytes += image.tarSize;
      if (blobsOf(image).size() > 1) bytes += image.distributed.size;
    }
    if (chosen == cli::Format::table) {
      table.addRow({ns.str(), fmt::to_string(images.size()), formatByteSize(bytes)});
    } else if (chosen == cli::Format::id) {
      lines += ns.str() + "\n";
    } else {
      lines += dumpLine({{"kind", "namespace"},
                         {"name", ns.str()},
                         {"images", images.size()},
                         {"bytes", bytes}}) +
               "\n";
    }
  }
  cli::print(chosen == cli::Format::table ? table.render() : lines);
  return 0;
}

}  // namespace

cli::Subcommand logSubcommand() {
  return {
      .name = "image log",
      .summary = "Show the audit log: what came in, was refused, was removed and was run",
      .details =
          "A table on a terminal, otherwise the lines of audit.log as they are "
          "(docs/provenance.md), the oldest first. What rotation has renamed away is not "
          "shown.\n\n"
          "Example:\n"
          "    actool image log --since=24h --event=refuse\n"
          "    actool image log --image=example.com/web --all-namespaces",
      .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
        auto options = std::make_shared<LogOptions>();
        app.add("--event", options->events, "import, refuse, remove, recover or run")
            .delimiter(',')
            .typeName("EVENT");
        app.add("--image", options->image, "of this image ID, beginning of one, or name")
            .typeName("IMAGE");
        app.add("--since", options->since, "not older than that, as \"24h\"").typeName("DURATION");
        app.flag("--all-namespaces", options->allNamespaces,
                 "not only of the namespace of --namespace");
        cli::addFormatOption(app, options->format, {cli::Format::table, cli::Format::jsonl});
        return [options, &globals] { return showLog(*options, globals); };
      }};
}

cli::Subcommand namespacesSubcommand() {
  return {.name = "image namespaces",
          .summary = "List the namespaces of the store",
          .details =
              "With the number of their images, and the bytes of these; what several namespaces "
              "have in common is counted for each of them and stored once "
              "(docs/namespaces.md).\n\n"
              "Example:\n    actool image namespaces",
          .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
            auto format = std::make_shared<std::optional<cli::Format>>();
            cli::addFormatOption(app, *format,
                                 {cli::Format::table, cli::Format::jsonl, cli::Format::id});
            return [format, &globals] { return listNamespaces(*format, globals); };
          }};
}

}  // namespace actool::cas
