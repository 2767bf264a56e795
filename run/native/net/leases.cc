#include "run/native/net/leases.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/error.h"

namespace actool::run::native {
namespace {

constexpr const char* kLast = "last_reserved_ip.0";
constexpr std::size_t kMaxLease = 4096;

std::string ownerOf(const Uuid& pod, const std::string& interface) {
  return pod.str() + "\r\n" + interface;
}

}  // namespace

Path Leases::directoryOf(const std::string& name) {
  return Path("/var/lib/cni/networks") / name;
}

Leases::Leases(Path directory) : directory_(std::move(directory)) {
  makeDirs(directory_);
  lock_ = openFile(directory_ / "lock", O_RDONLY | O_CREAT, 0644);
  while (::flock(lock_.get(), LOCK_EX) != 0)
    if (errno != EINTR) throwErrno("locking " + directory_.string());
}

Ipv4 Leases::take(const Subnet& subnet, const Uuid& pod, const std::string& interface,
                  std::optional<Ipv4> wanted) {
  const std::string owner = ownerOf(pod, interface);
  const std::uint32_t first = subnet.first().number;
  const std::uint32_t count = subnet.last().number - first + 1;
  if (wanted) {
    if (wanted->number - first >= count) {
      throw Error(wanted->str() + " is no address for a pod of " + subnet.str());
    }
    if (!tryTake(*wanted, owner)) throw Error(wanted->str() + " is taken");
    return *wanted;
  }
  std::uint32_t begin = 0;
  if (const auto text = tryReadFile(directory_ / kLast, kMaxLease)) {
    const auto last = Ipv4::parse(*text);
    if (last && last->number - first < count) begin = last->number - first + 1;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const Ipv4 address{first + (begin + i) % count};
    if (!tryTake(address, owner)) continue;
    writeFilePlain(directory_ / kLast, address.str());
    return address;
  }
  throw Error("all addresses of " + subnet.str() + " are taken",
              "run `actool gc`, or see whose they are in " + directory_.string());
}

// A file that has been begun and has no owner, as after a crash, is taken: host-local has it so.
bool Leases::tryTake(Ipv4 address, const std::string& owner) {
  const Path file = directory_ / address.str();
  const UniqueFd lease(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!lease && errno == EEXIST) return false;
  if (!lease) throwErrno("creating " + file.string());
  writeAll(lease.get(), owner, file.string());
  return true;
}

void Leases::giveBack(const Uuid& pod, const std::string& interface) {
  for (const std::string& name : listDir(directory_)) {
    if (!Ipv4::parse(name)) continue;
    const Path file = directory_ / name;
    if (tryReadFile(file, kMaxLease) != ownerOf(pod, interface)) continue;
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) throwErrno("removing " + file.string());
  }
}

bool Leases::none(const Subnet& subnet) const {
  const std::vector<std::string> files = listDir(directory_);
  return std::none_of(files.begin(), files.end(), [&](const std::string& file) {
    const auto address = Ipv4::parse(file);
    return address && subnet.contains(*address);
  });
}

}  // namespace actool::run::native
