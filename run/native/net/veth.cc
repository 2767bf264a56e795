#include "run/native/net/veth.h"

#include <fcntl.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <sched.h>

#include <new>
#include <optional>
#include <string_view>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/owner.h"

namespace actool::run::native {
namespace {

using NetlinkSocket = Owner<nl_sock, nl_socket_free>;
using Link = Owner<rtnl_link, rtnl_link_put>;
using InterfaceAddress = Owner<rtnl_addr, rtnl_addr_put>;
using Route = Owner<rtnl_route, rtnl_route_put>;
using NetlinkAddress = Owner<nl_addr, nl_addr_put>;

void checkNetlink(int result, std::string_view attempt) {
  if (result < 0) throw Error(std::string(attempt) + ": " + nl_geterror(result));
}

NetlinkAddress addressOf(Ipv4 address, unsigned prefixLength) {
  const std::string text = address.str() + "/" + std::to_string(prefixLength);
  nl_addr* parsed = nullptr;
  checkNetlink(nl_addr_parse(text.c_str(), AF_INET, &parsed), "address " + text);
  return NetlinkAddress(parsed);
}

// A socket and an interface in one network namespace, the caller's.
class Device {
 public:
  explicit Device(const std::string& name)
      : socket_(own<NetlinkSocket>(nl_socket_alloc())), name_(name) {
    checkNetlink(nl_connect(socket_.get(), NETLINK_ROUTE), "opening a netlink socket");
  }

  nl_sock* socket() const { return socket_.get(); }
  void find() {
    index_ = static_cast<int>(::if_nametoindex(name_.c_str()));
    if (index_ == 0) throwErrno("looking for interface " + name_);
  }
  void bringUp() {
    const Link link = linkOf();
    const Link change = own<Link>(rtnl_link_alloc());
    rtnl_link_set_flags(change.get(), IFF_UP);
    checkNetlink(rtnl_link_change(socket_.get(), link.get(), change.get(), 0),
                 "bringing up " + name_);
  }
  void addAddress(Ipv4 address, unsigned prefixLength) {
    const InterfaceAddress entry = own<InterfaceAddress>(rtnl_addr_alloc());
    rtnl_addr_set_ifindex(entry.get(), index_);
    checkNetlink(rtnl_addr_set_local(entry.get(), addressOf(address, prefixLength).get()),
                 "address of " + name_);
    // What is reached through it is said by the routes.
    rtnl_addr_set_flags(entry.get(), IFA_F_NOPREFIXROUTE);
    checkNetlink(rtnl_addr_add(socket_.get(), entry.get(), 0),
                 "giving " + name_ + " the address " + address.str());
  }
  // In place of a route to there that another interface has: one that is about to go.
  void addRoute(const Subnet& to, std::optional<Ipv4> gateway, std::optional<Ipv4> source) {
    const Route route = own<Route>(rtnl_route_alloc());
    checkNetlink(rtnl_route_set_dst(route.get(), addressOf(to.base, to.prefixLength).get()),
                 "route of " + name_);
    rtnl_route_set_scope(route.get(), gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
    constexpr unsigned kWhole = 32;
    if (source) {
      checkNetlink(rtnl_route_set_pref_src(route.get(), addressOf(*source, kWhole).get()),
                   "route of " + name_);
    }
    rtnl_nexthop* hop = rtnl_route_nh_alloc();
    if (hop == nullptr) throw std::bad_alloc();
    rtnl_route_add_nexthop(route.get(), hop);  // which owns it from here on
    rtnl_route_nh_set_ifindex(hop, index_);
    if (gateway) rtnl_route_nh_set_gateway(hop, addressOf(*gateway, kWhole).get());
    checkNetlink(rtnl_route_add(socket_.get(), route.get(), NLM_F_CREATE | NLM_F_REPLACE),
                 "adding the route to " + to.str() + " by " + name_);
  }

 private:
  Link linkOf() const {
    Link link = own<Link>(rtnl_link_alloc());
    rtnl_link_set_ifindex(link.get(), index_);
    return link;
  }

  NetlinkSocket socket_;
  std::string name_;
  int index_ = 0;
};

void enter(int space) {
  if (::setns(space, CLONE_NEWNET) != 0) throwErrno("entering a network namespace");
}

// As long as it lives, the process is in another network namespace.
class Inside {
 public:
  explicit Inside(int space) : before_(openFile("/proc/self/ns/net", O_RDONLY)) { enter(space); }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  // Nothing can go on in the wrong one.
  ~Inside() { enter(before_.get()); }

 private:
  UniqueFd before_;
};

// A socket stays in the namespace that it was made in.
Device deviceIn(int space, const std::string& name) {
  const Inside inside(space);
  Device device(name);
  device.find();
  return device;
}

}  // namespace

void makeVethPair(const VethPair& pair, int space) {
  Device host(pair.hostEnd);
  const Link link = own<Link>(rtnl_link_veth_alloc());
  rtnl_link_set_name(link.get(), pair.hostEnd.c_str());
  rtnl_link_set_flags(link.get(), IFF_UP);
  const Link peer(rtnl_link_veth_get_peer(link.get()));
  rtnl_link_set_name(peer.get(), pair.podEnd.c_str());
  rtnl_link_set_ns_fd(peer.get(), space);
  checkNetlink(rtnl_link_add(host.socket(), link.get(), NLM_F_CREATE | NLM_F_EXCL),
               "making the interfaces " + pair.hostEnd + " and " + pair.podEnd);
  constexpr unsigned kWhole = 32;
  const Ipv4 gateway = pair.subnet.gateway();
  const Subnet gatewayOnly{gateway, kWhole};
  host.find();
  host.addAddress(gateway, kWhole);

  Device pod = deviceIn(space, pair.podEnd);
  pod.bringUp();
  pod.addAddress(pair.address, pair.subnet.prefixLength);
  pod.addRoute(gatewayOnly, {}, pair.address);
  pod.addRoute(pair.subnet, gateway, pair.address);
  if (pair.isDefaultGateway) pod.addRoute({}, gateway, {});

  host.addRoute({pair.address, kWhole}, {}, {});
}

bool removeVethPair(const std::string& hostEnd) {
  const Device host(hostEnd);
  const Link link = own<Link>(rtnl_link_alloc());
  rtnl_link_set_name(link.get(), hostEnd.c_str());
  const int result = rtnl_link_delete(host.socket(), link.get());
  if (result == -NLE_NODEV || result == -NLE_OBJ_NOTFOUND) return false;
  checkNetlink(result, "removing interface " + hostEnd);
  return true;
}

}  // namespace actool::run::native
