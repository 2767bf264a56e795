#include "cas/audit_events.h"

namespace actool::cas {

namespace {

std::string nameOf(const StoredImage& image) {
  return auditText(schema::AppRef(image.name, image.labels).str());
}

}  // namespace

AuditEvent importEvent(const StoredImage& image, std::string_view result) {
  Json details = {{"image", image.id.str()},
                  {"name", nameOf(image)},
                  {"result", result},
                  {"verified", image.signature.has_value()}};
  if (image.signature) {
    details["fingerprint"] = image.signature->fingerprint;
    details["trustRule"] = auditText(image.signature->trustRule);
  }
  if (!image.imports.empty()) {
    const Import& import = image.imports.back();
    details["via"] = auditText(import.via);
    if (!import.source.empty()) details["source"] = auditSource(import.source);
    if (!import.requested.empty()) details["requested"] = auditText(import.requested);
  }
  return {kAuditImport, std::move(details)};
}

AuditEvent removeEvent(const schema::ImageId& id, const std::optional<StoredImage>& image,
                       std::string_view by) {
  Json details = {{"image", id.str()}, {"by", by}};
  if (image) details["name"] = nameOf(*image);
  return {kAuditRemove, std::move(details)};
}

AuditEvent recoverEvent(const schema::ImageId& id, bool isThere) {
  return {kAuditRecover, {{"image", id.str()}, {"present", isThere}}};
}

}  // namespace actool::cas
