#include "run/audit.h"

#include "cas/layout/audit.h"

namespace actool::run {

void auditRun(const cas::StoreLayout& store, const Pod& pod,
              const schema::PodManifest& manifest) noexcept {
  Json images = Json::array();
  for (const schema::RuntimeApp& app : manifest.apps)
    images.push_back(app.image.id.str());
  cas::audit(store, "actool-run",
             {{cas::kAuditRun, {{"pod", pod.uuid().str()}, {"images", std::move(images)}}}},
             cas::AuditSync::no);
}

}  // namespace actool::run
