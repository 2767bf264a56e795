#include "run/native/net/masquerade.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/ip.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <new>
#include <vector>

#include <linux/netfilter_ipv4.h>

#include "core/base/error.h"
#include "core/base/owner.h"

namespace actool::run::native {
namespace {

constexpr const char* kChain = "postrouting";
constexpr const char* kInstead =
    "is nf_tables in this kernel? A network of that name in net.d is taken instead of ours";

using Table = Owner<nftnl_table, nftnl_table_free>;
using Chain = Owner<nftnl_chain, nftnl_chain_free>;
using Rule = Owner<nftnl_rule, nftnl_rule_free>;
using FilterSocket = Owner<mnl_socket, mnl_socket_close>;
using Batch = Owner<mnl_nlmsg_batch, mnl_nlmsg_batch_stop>;

std::string tableName(const std::string& network, const Subnet& subnet) {
  return "actool-" + network + "-" + subnet.str();
}

Table tableOf(const std::string& name) {
  Table table = own<Table>(nftnl_table_alloc());
  nftnl_table_set_u32(table.get(), NFTNL_TABLE_FAMILY, NFPROTO_IPV4);
  nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, name.c_str());
  return table;
}

Chain chainOf(const std::string& table) {
  Chain chain = own<Chain>(nftnl_chain_alloc());
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_FAMILY, NFPROTO_IPV4);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table.c_str());
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, kChain);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, "nat");
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, NF_INET_POST_ROUTING);
  nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, NF_IP_PRI_NAT_SRC);
  return chain;
}

// Adds a comparison of an address of the packet's header, under a mask, with that of `subnet`.
void addCompare(nftnl_rule* rule, std::size_t offset, std::uint32_t operation,
                const Subnet& subnet) {
  const std::uint32_t mask = htonl(subnet.mask().number);
  const std::uint32_t base = htonl(subnet.base.number);
  constexpr std::uint32_t kNothing = 0;
  const auto add = [&](const char* kind) {
    nftnl_expr* expression = nftnl_expr_alloc(kind);
    if (expression == nullptr) throw std::bad_alloc();
    nftnl_rule_add_expr(rule, expression);
    return expression;
  };
  nftnl_expr* load = add("payload");
  nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
  nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_OFFSET, static_cast<std::uint32_t>(offset));
  nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_LEN, sizeof mask);
  nftnl_expr_set_u32(load, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
  nftnl_expr* select = add("bitwise");
  nftnl_expr_set_u32(select, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
  nftnl_expr_set_u32(select, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
  nftnl_expr_set_u32(select, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
  nftnl_expr_set_u32(select, NFTNL_EXPR_BITWISE_LEN, sizeof mask);
  nftnl_expr_set(select, NFTNL_EXPR_BITWISE_MASK, &mask, sizeof mask);
  nftnl_expr_set(select, NFTNL_EXPR_BITWISE_XOR, &kNothing, sizeof kNothing);
  nftnl_expr* compare = add("cmp");
  nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
  nftnl_expr_set_u32(compare, NFTNL_EXPR_CMP_OP, operation);
  nftnl_expr_set(compare, NFTNL_EXPR_CMP_DATA, &base, sizeof base);
}

Rule ruleOf(const std::string& table, const Subnet& subnet) {
  constexpr Subnet kMulticast{{0xe0000000}, 4};
  Rule rule = own<Rule>(nftnl_rule_alloc());
  nftnl_rule_set_u32(rule.get(), NFTNL_RULE_FAMILY, NFPROTO_IPV4);
  nftnl_rule_set_str(rule.get(), NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_set_str(rule.get(), NFTNL_RULE_CHAIN, kChain);
  addCompare(rule.get(), offsetof(iphdr, saddr), NFT_CMP_EQ, subnet);
  addCompare(rule.get(), offsetof(iphdr, daddr), NFT_CMP_NEQ, subnet);
  addCompare(rule.get(), offsetof(iphdr, daddr), NFT_CMP_NEQ, kMulticast);
  nftnl_expr* masquerade = nftnl_expr_alloc("masq");
  if (masquerade == nullptr) throw std::bad_alloc();
  nftnl_rule_add_expr(rule.get(), masquerade);
  return rule;
}

// Talks to nf_tables of the caller's network namespace.
class Conversation {
 public:
  Conversation() : socket_(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC)) {
    if (!socket_) throwErrno("opening a netlink socket");
    if (mnl_socket_bind(socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
      throwErrno("binding a netlink socket");
    }
  }

  // One message, not of a transaction. The errno of the answer.
  int ask(std::uint16_t type, const nftnl_table* table) {
    std::vector<char> message(kMaxMessage);
    nlmsghdr* header =
        nftnl_nlmsg_build_hdr(message.data(), type, NFPROTO_IPV4, NLM_F_ACK, ++last_);
    nftnl_table_nlmsg_build_payload(header, table);
    send(header, header->nlmsg_len);
    return answer();
  }

  // A message of the transaction; `build` writes what is behind its header.
  template <typename Build>
  void add(std::uint16_t type, std::uint16_t flags, Build build) {
    if (!batch_) begin();
    nlmsghdr* header = nftnl_nlmsg_build_hdr(current(), type, NFPROTO_IPV4, flags, ++last_);
    build(header);
    next();
  }
  // Carries out the transaction, whole or not at all. The errno of the answer. Its last message
  // has to ask for one (NLM_F_ACK).
  int commit() {
    nftnl_batch_end(current(), ++last_);
    next();
    send(mnl_nlmsg_batch_head(batch_.get()), mnl_nlmsg_batch_size(batch_.get()));
    return answer();
  }

 private:
  // Of some hundred bytes that it takes; the kernel's answers have the message in them.
  static constexpr std::size_t kMaxMessage = 16384;

  void begin() {
    space_.resize(2 * kMaxMessage);
    batch_ = own<Batch>(mnl_nlmsg_batch_start(space_.data(), kMaxMessage));
    nftnl_batch_begin(current(), ++last_);
    next();
  }
  char* current() { return static_cast<char*>(mnl_nlmsg_batch_current(batch_.get())); }
  void next() {
    if (!mnl_nlmsg_batch_next(batch_.get())) throw Error("the rules do not fit in a message");
  }
  void send(const void* data, std::size_t size) {
    if (mnl_socket_sendto(socket_.get(), data, size) < 0) throwErrno("sending to nf_tables");
  }
  // The first message that tells how it went.
  int answer() {
    std::vector<char> message(kMaxMessage);
    while (true) {
      const ssize_t size = mnl_socket_recvfrom(socket_.get(), message.data(), message.size());
      if (size < 0) throwErrno("waiting for nf_tables");
      const int result = mnl_cb_run(message.data(), static_cast<std::size_t>(size), 0,
                                    mnl_socket_get_portid(socket_.get()), nullptr, nullptr);
      if (result < 0) return errno;
      if (result == MNL_CB_STOP) return 0;
    }
  }

  FilterSocket socket_;
  std::vector<char> space_;
  Batch batch_;
  std::uint32_t last_ = 0;  // sequence number
};

}  // namespace

void addMasquerade(const std::string& network, const Subnet& subnet) {
  Conversation conversation;
  const std::string name = tableName(network, subnet);
  const Table table = tableOf(name);
  const int found = conversation.ask(NFT_MSG_GETTABLE, table.get());
  if (found == 0) return;
  if (found != ENOENT)
    throw Error("asking nf_tables for a table: " + std::string(::strerror(found)), kInstead);
  conversation.add(NFT_MSG_NEWTABLE, NLM_F_CREATE,
                   [&](nlmsghdr* header) { nftnl_table_nlmsg_build_payload(header, table.get()); });
  const Chain chain = chainOf(name);
  conversation.add(NFT_MSG_NEWCHAIN, NLM_F_CREATE,
                   [&](nlmsghdr* header) { nftnl_chain_nlmsg_build_payload(header, chain.get()); });
  const Rule rule = ruleOf(name, subnet);
  conversation.add(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK,
                   [&](nlmsghdr* header) { nftnl_rule_nlmsg_build_payload(header, rule.get()); });
  const int failure = conversation.commit();
  if (failure != 0) {
    throw Error("adding a rule to nf_tables: " + std::string(::strerror(failure)), kInstead);
  }
}

bool removeMasquerade(const std::string& network, const Subnet& subnet) {
  Conversation conversation;
  const std::string name = tableName(network, subnet);
  const Table table = tableOf(name);
  conversation.add(NFT_MSG_DELTABLE, NLM_F_ACK,
                   [&](nlmsghdr* header) { nftnl_table_nlmsg_build_payload(header, table.get()); });
  const int failure = conversation.commit();
  if (failure == ENOENT) return false;
  if (failure != 0) {
    throw SystemError(failure, "removing table " + name + " of nf_tables");
  }
  return true;
}

}  // namespace actool::run::native
