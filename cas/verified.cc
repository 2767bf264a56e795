#include "cas/verified.h"

#include <string>

#include "core/base/error.h"
#include "core/base/log.h"

namespace actool::cas {

namespace {

template <typename Fn>
void attempt(Fn&& fn) noexcept {
  try {
    fn();
  } catch (const Error& error) {
    log::debug("no stamp: {}", error.what());
  }
}

}  // namespace

void stampTar(const StoreLayout& layout, const schema::ImageId& id, const FileLook& look) noexcept {
  attempt([&] { writeStamps(layout.verifiedFile(id), {makeStamp(std::string(kTarStamp), look)}); });
}

void copyTarStamp(const StoreLayout& from, const StoreLayout& to,
                  const schema::ImageId& id) noexcept {
  attempt([&] {
    const auto stamps = readStamps(from.verifiedFile(id));
    if (!stamps.empty()) writeStamps(to.verifiedFile(id), stamps);
  });
}

void stampMetadata(const StoreLayout& layout, std::string_view key) noexcept {
  attempt([&] {
    addStamps(layout.treeVerifiedFile(key),
              {makeStamp(std::string(kMetadataStamp), lookOf(layout.erofsFile(key))),
               makeStamp(std::string(kDevicesStamp), lookOf(layout.devicesFile(key)))});
  });
}

void stampRendered(const StoreLayout& layout, std::string_view key, const FileLook& look) noexcept {
  attempt(
      [&] { addStamps(layout.treeVerifiedFile(key), {makeStamp(std::string(kTreeStamp), look)}); });
}

bool isTarStamped(const StoreLayout& layout, const schema::ImageId& id) noexcept {
  bool stamped = false;
  attempt([&] {
    stamped = isStamped(readStamps(layout.verifiedFile(id)), kTarStamp, lookOf(layout.tarBlob(id)),
                        std::chrono::system_clock::now(), Seconds::max());
  });
  return stamped;
}

}  // namespace actool::cas
