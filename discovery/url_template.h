// URL templates of ac-discovery tags (appc spec/discovery.md, Discovery Templates): RFC 6570
// simple expansion of {name}, {ext} and one variable per label.
#pragma once

#include <string>
#include <string_view>

#include "core/record/record.h"
#include "core/schema/app_ref.h"

namespace actool::discovery {

// A rendered URL longer than this is refused: servers take request lines of about 8 kB.
inline constexpr std::size_t kMaxUrlBytes = 8192;

// The image and signature URLs of `urlTemplate` for `ref`, whose labels are all there is:
// defaults are put in by the caller. Values are percent-encoded but for RFC 3986's unreserved
// characters; '/' is kept in {name} only, so that no label can climb or add a path component.
// A value is never expanded again. Throws Error saying why the template cannot be used: no
// {ext}, a variable that `ref` has no label for, a brace without its pair, a path with "." or
// ".." in it, not a URL.
record::Endpoint renderTemplate(std::string_view urlTemplate, const schema::AppRef& ref);

// `text` as it is if it is an absolute URL: any scheme (it names the transport, and may be
// one of tomorrow) but "file", a host, no credentials, printable ASCII. Throws Error.
std::string checkedUrl(std::string_view text);

}  // namespace actool::discovery
