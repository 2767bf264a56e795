// The store's audit log: <dir>/audit.log, one line of JSON for each image that came in, was refused
// or was removed, and for each pod that was run. docs/provenance.md. Links no database.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cas/layout.h"
#include "core/base/json.h"

namespace actool::cas {

inline constexpr std::string_view kAuditImport = "import";
inline constexpr std::string_view kAuditRefuse = "refuse";
inline constexpr std::string_view kAuditRemove = "remove";
inline constexpr std::string_view kAuditRecover = "recover";
inline constexpr std::string_view kAuditRun = "run";

struct AuditEvent {
  std::string_view event;  // one of the above
  Json details;            // its own members; strings from outside go through auditText()
};

enum class AuditSync { no, yes };  // whether the lines are on disk before this goes on

// Appends the events, with time, tool, namespace and user, in one write(2) for each 64 KiB. The
// file is opened by its name every time, so that it can be renamed away at any moment. Where the
// log can't be written, that is a warning and no more: nobody is kept from removing an image by a
// full disk. Writes nothing where there is no store.
void audit(const StoreLayout& layout, std::string_view tool, const std::vector<AuditEvent>& events,
           AuditSync sync) noexcept;

// What a line says of text from outside: printable, and bounded.
std::string auditText(std::string_view text);
// Of a URL or path from which bytes came: without user name, password, query and fragment, in which
// secrets are.
std::string auditSource(std::string_view source);

}  // namespace actool::cas
