#include "run/machined/entry.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>

#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/strings.h"

namespace actool::run {
namespace {

constexpr const char* kService = "org.freedesktop.machine1";
constexpr const char* kObject = "/org/freedesktop/machine1";
constexpr const char* kManager = "org.freedesktop.machine1.Manager";

class BusError {
 public:
  BusError() = default;
  ~BusError() { ::sd_bus_error_free(&error_); }
  BusError(const BusError&) = delete;
  BusError& operator=(const BusError&) = delete;

  sd_bus_error* get() { return &error_; }
  std::string text(int code) const {
    return error_.message != nullptr ? printable(error_.message) : std::strerror(-code);
  }

 private:
  sd_bus_error error_{};
};

struct MessageCloser {
  void operator()(sd_bus_message* message) const { ::sd_bus_message_unref(message); }
};
using Message = std::unique_ptr<sd_bus_message, MessageCloser>;

void check(int code, const char* what) {
  if (code < 0) throw Error(fmt::format("{}: {}", what, std::strerror(-code)));
}

}  // namespace

void MachineEntry::BusCloser::operator()(sd_bus* bus) const {
  ::sd_bus_flush_close_unref(bus);
}

MachineEntry::MachineEntry(const Uuid& pod, pid_t leader) : name_("rkt-" + pod.str()) {
  sd_bus* bus = nullptr;
  check(::sd_bus_open_system(&bus), "connecting to the system bus");
  bus_.reset(bus);
  sd_id128_t id;
  check(::sd_id128_from_string(pod.str().c_str(), &id), "reading the pod's UUID");

  sd_bus_message* made = nullptr;
  check(
      ::sd_bus_message_new_method_call(bus, &made, kService, kObject, kManager, "RegisterMachine"),
      "writing to machined");
  const Message message(made);
  const char* const noRootDirectory = "";  // machined looks into the leader's own root
  check(::sd_bus_message_append(made, "s", name_.c_str()), "writing to machined");
  check(::sd_bus_message_append_array(made, 'y', id.bytes, sizeof id.bytes), "writing to machined");
  check(::sd_bus_message_append(made, "ssus", "actool", "container",
                                static_cast<std::uint32_t>(leader), noRootDirectory),
        "writing to machined");
  BusError error;
  const int code = ::sd_bus_call(bus, made, 0, error.get(), nullptr);
  if (code < 0) {
    throw Error(
        fmt::format("systemd-machined does not take pod {}: {}", pod.str(), error.text(code)));
  }
}

MachineEntry::~MachineEntry() {
  BusError error;
  const int code =
      ::sd_bus_call_method(bus_.get(), kService, kObject, kManager, "UnregisterMachine",
                           error.get(), nullptr, "s", name_.c_str());
  if (code < 0) log::warn("systemd-machined keeps {}: {}", name_, error.text(code));
}

}  // namespace actool::run
