// What actool-image tells the audit log (cas/layout/audit.h).
#pragma once

#include <string>
#include <string_view>

#include "cas/layout/audit.h"
#include "cas/stored_image.h"

namespace actool::cas {

inline constexpr std::string_view kImageTool = "actool-image";

// An image came in. `result`: "new" here, "known" already, or "shared" with another namespace, from
// which it has its bytes.
AuditEvent importEvent(const StoredImage& image, std::string_view result);
// An image went, `by` "rm", "gc" or "fsck". What is known of it may be nothing.
AuditEvent removeEvent(const schema::ImageId& id, const std::optional<StoredImage>& image,
                       std::string_view by);
// A process was killed while it added, changed or removed the image, which is there now, or is not.
AuditEvent recoverEvent(const schema::ImageId& id, bool isThere);

}  // namespace actool::cas
