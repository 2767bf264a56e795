#include "run/native/user_network.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/strings.h"
#include "core/base/unix_socket.h"
#include "core/schema/pod_manifest.h"
#include "run/native/namespaces.h"
#include "run/port_mappings.h"

namespace actool::run::native {
namespace {

constexpr const char* kNameServer = "nameserver 10.0.2.3\n";
// The largest that slirp4netns takes: nothing on the way is smaller, it is one machine.
constexpr const char* kMtu = "--mtu=65520";

// Where slirp4netns takes requests while there is something to ask for.
constexpr const char* kRequests = "slirp4netns.sock";
constexpr std::size_t kMaxAnswer = 4096;

// slirp4netns(1), API SOCKET: a connection for each request.
void forwardPort(const Json& mapping) {
  const UniqueFd socket = connectUnix(kRequests, SOCK_STREAM);
  if (!socket) throw Error("slirp4netns takes no requests");
  const Json arguments = {{"proto", mapping.at("protocol")},
                          {"host_addr", mapping.value("hostIP", "0.0.0.0")},
                          {"host_port", mapping.at("hostPort")},
                          {"guest_port", mapping.at("containerPort")}};
  writeAll(socket.get(), dumpLine({{"execute", "add_hostfwd"}, {"arguments", arguments}}),
           "slirp4netns");
  if (::shutdown(socket.get(), SHUT_WR) != 0) throwErrno("asking slirp4netns");
  const Json answer =
      parseJson(readAll(socket.get(), kMaxAnswer, "slirp4netns"), "the answer of slirp4netns");
  if (answer.is_object() && answer.contains("return")) return;
  throw Error(fmt::format("slirp4netns does not forward port {} of {}: {}",
                          arguments.at("host_port").dump(),
                          arguments.at("host_addr").get<std::string>(), printable(answer.dump())),
              "another program may listen there; ports below 1024 are root's");
}

void forwardPorts(const Json& mappings) {
  for (const Json& mapping : mappings)
    forwardPort(mapping);
  // Nobody else is to ask.
  if (!mappings.empty() && ::unlink(kRequests) != 0) throwErrno("removing slirp4netns' socket");
}

Json exposedPorts(const PodLayout& layout) {
  return portMappings(schema::PodManifest::parse(
      readFile(layout.manifest(), schema::kMaxPodManifestBytes), "the pod's manifest"));
}

Child startSlirp(int space, const Json& ports) {
  constexpr int kReady = 3;
  Pipe ready = makePipe();
  const UniqueFd null = openFile("/dev/null", O_RDWR);
  SpawnOptions options;
  options.argv = {"slirp4netns",
                  "--configure",
                  kMtu,
                  "--disable-host-loopback",
                  "--enable-sandbox",
                  "--enable-seccomp",
                  "--ready-fd=" + std::to_string(kReady),
                  "--netns-type=path",
                  "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(space),
                  "eth0"};
  if (!ports.empty()) options.argv.push_back(std::string("--api-socket=") + kRequests);
  const int talk = log::debugEnabled() ? STDERR_FILENO : null.get();
  options.fds = {{0, null.get()}, {1, talk}, {2, talk}, {kReady, ready.write.get()}};
  options.newSession = true;  // a terminal's signals are the pod's
  options.dieWithParent = true;
  Child slirp = Child::spawn(options);
  ready.write.reset();
  std::array<std::byte, 1> byte{};
  if (readFull(ready.read.get(), byte, "slirp4netns") == byte.size()) {
    forwardPorts(ports);
    return slirp;
  }
  throw Error("setting up the pod's network: slirp4netns " + slirp.wait().describe(),
              "what it says is shown with --debug; --net=none and --net=host do without it");
}

}  // namespace

UserNetwork::UserNetwork(const RunOptions& options, const PodLayout& layout) try
    : space_(makeNetworkNamespace()), slirp_(startSlirp(space_.get(), exposedPorts(layout))) {
  if (options.resolv != DnsMode::standard) return;
  makeDirs(layout.stage1Rootfs() / "etc");
  writeFilePlain(layout.stage1Rootfs() / "etc/rkt-resolv.conf", kNameServer);
} catch (const NotFoundError&) {
  throw Error("there is no slirp4netns, which the network of a pod that is not root's needs",
              "install it, or give --net=none or --net=host");
}

}  // namespace actool::run::native
