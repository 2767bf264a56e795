#include "run/vm/kernel.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "run/vm/modules.h"

namespace actool::run::vm {
namespace {

constexpr std::string_view kPrefix = "vmlinuz-";
constexpr const char* kHint =
    "install a kernel for guests (Debian: linux-image-cloud-amd64), or name one with "
    "$ACTOOL_VM_KERNEL";
constexpr std::size_t kHeadBytes = 64 << 10;
constexpr std::size_t kMaxDep = 16 << 20;

// Linux/x86 boot protocol: the offset of the release's text, less 512, is two bytes at 0x20e.
constexpr std::size_t kMagicAt = 0x202;
constexpr std::size_t kReleaseAt = 0x20e;

std::string readHead(const Path& image) {
  const UniqueFd file = openFile(image, O_RDONLY);
  std::string head(kHeadBytes, '\0');
  head.resize(readFull(file.get(), std::as_writable_bytes(std::span(head)), image.string()));
  return head;
}

GuestKernel inspect(const Path& image, const std::vector<std::string>& names) {
  const std::string release = kernelRelease(readHead(image), image.filename().string());
  if (release.empty()) throw Error("neither its header nor its name says which kernel it is");
  for (const Path& base : {image.parent_path().parent_path(), Path("/")}) {
    const Path dir = base / "lib/modules" / release;
    const auto dep = tryReadFile(dir / "modules.dep", kMaxDep);
    if (!dep) continue;
    const auto builtIn = tryReadFile(dir / "modules.builtin", kMaxDep);
    return {image, dir, modulesToLoad(*dep, builtIn.value_or(""), names)};
  }
  throw NotFoundError("there is no /lib/modules/" + release + "/modules.dep");
}

}  // namespace

std::string kernelRelease(std::string_view head, std::string_view name) {
  if (head.size() > kReleaseAt + 2 && head.substr(kMagicAt, 4) == "HdrS") {
    const auto low = static_cast<unsigned char>(head[kReleaseAt]);
    const auto high = static_cast<unsigned char>(head[kReleaseAt + 1]);
    const std::size_t at = 0x200 + (low | static_cast<std::size_t>(high) << 8);
    const std::string_view text = at < head.size() ? head.substr(at) : std::string_view();
    const std::size_t end = text.find_first_of(std::string_view(" \0", 2));
    if (end != std::string_view::npos && end > 0) return std::string(text.substr(0, end));
  }
  return name.starts_with(kPrefix) ? std::string(name.substr(kPrefix.size())) : std::string();
}

GuestKernel findKernel(const Path& image, const std::vector<std::string>& names) {
  if (!image.empty()) {
    return withContext("the kernel " + image.string(), [&] { return inspect(image, names); });
  }
  std::vector<std::string> found;
  for (const std::string& name : listDir("/boot")) {
    if (name.starts_with(kPrefix)) found.push_back(name);
  }
  std::sort(found.begin(), found.end(), [](const std::string& a, const std::string& b) {
    return ::strverscmp(a.c_str(), b.c_str()) > 0;
  });
  std::string reasons;
  for (const std::string& name : found) {
    try {
      return inspect(Path("/boot") / name, names);
    } catch (const Error& error) {
      reasons += " (/boot/" + name + ": " + error.what() + ")";
    }
  }
  throw NotFoundError("there is no kernel for a virtual machine in /boot" + reasons, kHint);
}

}  // namespace actool::run::vm
