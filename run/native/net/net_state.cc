#include "run/native/net/net_state.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/base/error.h"
#include "core/base/fs.h"

namespace actool::run::native {
namespace {

constexpr std::size_t kMaxNetInfo = 4 << 20;

}  // namespace

std::vector<std::string> JoinedNetwork::addresses() const {
  std::vector<std::string> found;
  if (!result.is_object() || !result.contains("ips")) return found;
  for (const Json& ip : result["ips"])
    found.push_back(stringMember(ip, "address"));
  return found;
}

void writeNetState(const PodLayout& layout, const std::vector<JoinedNetwork>& networks) {
  Json list = Json::array();
  for (const JoinedNetwork& joined : networks) {
    list.push_back({{"netName", joined.network.name},
                    {"ifName", joined.interface},
                    {"args", joined.network.args},
                    {"cniVersion", joined.network.cniVersion},
                    {"plugins", joined.network.plugins},
                    {"result", joined.result},
                    {"addresses", joined.addresses()}});
  }
  // Complete or not there: it is what undoing goes by.
  const Path fresh = layout.netInfo().string() + ".new";
  writeFilePlain(fresh, dumpPretty(list) + "\n");
  if (::rename(fresh.c_str(), layout.netInfo().c_str()) != 0) {
    throwErrno("writing " + layout.netInfo().string());
  }
}

std::vector<JoinedNetwork> readNetState(const Path& file) {
  std::vector<JoinedNetwork> networks;
  const auto text = tryReadFile(file, kMaxNetInfo);
  if (!text) return networks;
  const Json list = parseJson(*text, file.string(), {.bytes = kMaxNetInfo});
  return withContext(file.string(), [&] {
    for (const Json& entry : list) {
      JoinedNetwork joined;
      joined.network.name = stringMember(entry, "netName");
      joined.network.args = stringMember(entry, "args");
      joined.network.cniVersion = stringMember(entry, "cniVersion");
      for (const Json& plugin : member(entry, "plugins"))
        joined.network.plugins.push_back(plugin);
      joined.interface = stringMember(entry, "ifName");
      joined.result = member(entry, "result");
      networks.push_back(std::move(joined));
    }
    return networks;
  });
}

}  // namespace actool::run::native
