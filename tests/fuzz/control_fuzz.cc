// The control socket of a pod: each line of the input is a packet to it, from one client after the
// other where a line is empty. No action is asked for with the name of an app that cannot be one,
// and the pod goes on serving others.
#include <poll.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/strings.h"
#include "core/schema/identifier.h"
#include "run/native/requests.h"
#include "run/native/streams.h"

namespace {

using namespace actool;
using namespace actool::run::native;

struct Pod {
  Pod() : dir(tempRoot(), "control-fuzz.") {
    if (::chdir(dir.path().c_str()) != 0) std::abort();
    const StdioModes modes{StdioMode::stream, StdioMode::stream, StdioMode::stream};
    ends = streams.open("web", modes);
    const auto named = [](const std::string& app) { schema::AcName::parse(app); };
    requests.emplace(streams, Requests::Actions{named, named, named});
    requests->begun("web");
  }
  void serve() {
    // What one packet leads to takes a few rounds: a client to take over, data to pass on.
    for (int round = 0; round < 4; ++round) {
      std::vector<pollfd> fds;
      streams.addTo(fds);
      const std::size_t own = fds.size();
      requests->addTo(fds);
      if (::poll(fds.data(), fds.size(), 0) <= 0) return;
      requests->handle({fds.begin() + static_cast<std::ptrdiff_t>(own), fds.end()});
      streams.handle({fds.begin(), fds.begin() + static_cast<std::ptrdiff_t>(own)});
    }
  }

  TempDir dir;
  Streams streams{"rkt-fuzz"};
  StdioFds ends;
  std::optional<Requests> requests;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Pod pod;
  UniqueFd client = connectControl(kControlSocket);
  pod.serve();
  int packets = 0;
  for (const std::string_view line :
       split(std::string_view(reinterpret_cast<const char*>(data), size), '\n')) {
    if (++packets > 32) break;
    if (line.empty()) {
      client = connectControl(kControlSocket);
    } else {
      sendPacket(client.get(), static_cast<Packet>(line[0]), line.substr(1), false);
    }
    pod.serve();
  }
  client.reset();
  pod.serve();
  const UniqueFd other = connectControl(kControlSocket);
  if (!sendPacket(other.get(), Packet::list, "web", false)) std::abort();
  pod.serve();
  pollfd answer{other.get(), POLLIN, 0};
  if (::poll(&answer, 1, 0) != 1) std::abort();
  const auto packet = receivePacket(other.get());
  if (!packet || packet->kind != Packet::done) std::abort();
  // The app's end of its input, which clients fill.
  static char sink[65536];
  pollfd given{pod.ends[0].get(), POLLIN, 0};
  while (::poll(&given, 1, 0) == 1 && (given.revents & POLLIN) != 0 &&
         ::read(pod.ends[0].get(), sink, sizeof sink) > 0) {
  }
  return 0;
}
