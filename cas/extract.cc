#include "cas/extract.h"

#include <sys/stat.h>

#include "cas/aci_input.h"
#include "core/base/error.h"

namespace actool::cas {

RenderReport extractImage(const schema::ImageId& id, const Path& tar, const Path& dest,
                          bool rootfsOnly, const RenderOptions& options) {
  const std::vector<RenderLayer> layers = {{id, tar, {}}};
  if (rootfsOnly) return renderTree(layers, dest, options);
  const std::string manifest = readAciManifest(tar);
  if (mkdir(dest.c_str(), 0755) != 0) throwErrno("making the directory " + dest.string());
  writeFilePlain(dest / "manifest", manifest);
  return renderTree(layers, dest / "rootfs", options);
}

}  // namespace actool::cas
