#include "cas/migrate.h"

#include <fmt/format.h>

#include <array>

#include "cas/store.h"
#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/lock.h"
#include "core/base/log.h"

namespace actool::cas {

namespace {

// Each leads from its version to the next one. It may be run again on what an earlier run left.
struct Migration {
  int from;
  void (*run)(const StoreLayout& layout);
};

// Version 2 has other keys in the index, for changes whose cost does not depend on the number of
// images. The index is made of the images' files, which are the same.
void makeNewIndex(const StoreLayout& layout) {
  removeTree(layout.indexDir());
  const auto index = openIndex(layout.indexDir());
  rebuildIndex(layout, *index);
}

// Version 3 may have namespaces/, and image.json says more. An older release would take the blobs
// of other namespaces for garbage, and drop what it does not know from records: it is kept out.
void admitNamespaces(const StoreLayout& /*layout*/) {}

constexpr std::array<Migration, kStoreVersion - 1> kMigrations = {{
    {1, makeNewIndex},
    {2, admitNamespaces},
}};

}  // namespace

void migrateStore(const StoreLayout& layout) {
  const FileLock lock = FileLock::acquire(layout.lockFile(), LockMode::exclusive);
  for (const Migration& migration : kMigrations) {
    const auto from = migration.from;
    // Again under the lock: another process may have done it.
    if (StoreReader(layout).version() != from) continue;
    log::info("bringing the store {} from version {} to {}", layout.dir().string(), from, from + 1);
    withContext(fmt::format("bringing the store {} to version {}", layout.dir().string(), from + 1),
                [&] { migration.run(layout); });
    // The point of no return of this step.
    writeFileAtomic(layout.versionFile(), formatVersion(from + 1));
  }
}

}  // namespace actool::cas
