#include <fmt/format.h>

#include <memory>

#include "cas/image_commands.h"
#include "cas/store.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/strings.h"
#include "core/cli/table.h"

namespace actool::cas {

namespace {

struct RemoteOptions {
  std::string url;
  bool refresh = false;
  std::optional<std::uint64_t> maxAge;
  std::optional<std::string> etag;
};

const Source& sourceOf(const StoredImage& image, const std::string& url) {
  for (const auto& source : image.sources) {
    if (source.url == url) return source;
  }
  throw Error(fmt::format("image {} does not know its source {}", image.id.shortForm(), url),
              "run 'actool image fsck'");
}

int remote(const RemoteOptions& options, const cli::Globals& globals) {
  if (!options.refresh && (options.maxAge || options.etag)) {
    throw UsageError("--max-age and --etag are for --refresh");
  }
  const auto nothing = [&] {
    return NotFoundError(fmt::format("nothing is known of {}", printable(options.url)));
  };
  const auto now = systemClock().now();
  std::optional<StoredImage> image;
  if (options.refresh) {
    // Not to create a store only to say that it is empty.
    if (!StoreView(storeOf(globals)).catalog().bySource(options.url)) throw nothing();
    StoreWriter writer(storeOf(globals));
    image = writer.catalog().bySource(options.url);
    if (!image) throw nothing();
    Source source = sourceOf(*image, options.url);
    if (options.etag) source.etag = *options.etag;
    source.confirmed = preciseTime(now);
    source.expires =
        options.maxAge ? preciseTime(now + std::chrono::seconds(*options.maxAge)) : std::string();
    image->noteSource(std::move(source));
    writer.update(*image);
  } else {
    image = StoreView(storeOf(globals)).catalog().bySource(options.url);
    if (!image) throw nothing();
  }
  const Source& source = sourceOf(*image, options.url);
  cli::print(dumpLine(Json{{"kind", "remote"},
                           {"url", source.url},
                           {"etag", source.etag},
                           {"fresh", source.expires > preciseTime(now)},
                           {"id", image->id.str()}}) +
             "\n");
  return 0;
}

}  // namespace

cli::Subcommand remoteSubcommand() {
  return {.name = "image remote",
          .summary = "What is known of the image at a URL",
          .details =
              "For transports: the image that came from URL, its ETag there, and whether "
              "the server's max-age has not passed. With --refresh, notes that the server "
              "confirmed it.\n\n"
              "Example:\n"
              "    actool image remote https://example.com/web.aci",
          .setup = [](cli::Options& app, cli::Globals& globals) -> std::function<int()> {
            auto options = std::make_shared<RemoteOptions>();
            app.add("url", options->url, "the URL").required().typeName("URL");
            app.flag("--refresh", options->refresh, "the server confirmed the bytes just now");
            app.add("--max-age", options->maxAge, "seconds for which they are fresh");
            app.add("--etag", options->etag, "what the server names them");
            return [options, &globals] { return remote(*options, globals); };
          }};
}

}  // namespace actool::cas
