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
    writeStamps(layout.treeVerifiedFile(key),
                {makeStamp(std::string(kMetadataStamp), lookOf(layout.erofsFile(key))),
                 makeStamp(std::string(kDevicesStamp), lookOf(layout.devicesFile(key)))});
  });
}

}  // namespace actool::cas
