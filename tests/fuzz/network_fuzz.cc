// Network configurations of net.d, the list of --net, and the record of a pod's networks. The first
// byte says which of them the rest is; what is accepted survives being written and read again.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "run/native/net/net_state.h"
#include "run/native/net/network_config.h"
#include "run/networks.h"

namespace {

using namespace actool;
using namespace actool::run;

// One directory for all inputs: it is removed with the process's last breath.
const Path& scratch() {
  static const TempDir dir(tempRoot(), "network-fuzz.");
  static const bool made = [] {
    makeDirs(dir.path() / "net.d");
    return true;
  }();
  (void)made;
  return dir.path();
}

void configuration(const std::string& name, std::string_view text) {
  const Path file = scratch() / "net.d" / name;
  writeFilePlain(file, text);
  try {
    const auto known = native::loadNetworks({scratch()});
    auto chosen = native::chooseNetworks(known, parseNetworks("all"));
    native::addPorts(chosen, Json::array({{{"hostPort", 80}}}));
    native::addBandwidth(chosen, 1000);
  } catch (const Error&) {
    ::unlink(file.c_str());
    return;
  }
  ::unlink(file.c_str());
}

void record(std::string_view text) {
  const PodLayout layout(scratch());
  writeFilePlain(layout.netInfo(), text);
  for (const NetworkInfo& network : readNetworks(layout))
    networkText(network);
  const auto first = native::readNetState(layout.netInfo());
  native::writeNetState(layout, first);
  if (native::readNetState(layout.netInfo()).size() != first.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    if (data[0] == 'c') configuration("10-x.conf", text);
    if (data[0] == 'l') configuration("10-x.conflist", text);
    if (data[0] == 'r') record(text);
    if (data[0] == 'n' && hasContainedNetworks(text)) parseNetworks(text);
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
