// The streams of apps that do not go straight through: logs, and what can be attached to. They end
// in the process outside of the pod, which never blocks on an app or on whoever is attached.
#pragma once

#include <poll.h>

#include <array>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"
#include "run/native/control.h"
#include "run/native/log_file.h"
#include "run/native/stdio.h"

namespace actool::run::native {

// What is kept for one client that reads slower than the app writes; beyond, it is let go of.
inline constexpr std::size_t kMaxClientBacklog = 1 << 20;

class Streams {
 public:
  // `pod` is what its journal entries are marked with beside the app's name.
  explicit Streams(std::string pod) : pod_(std::move(pod)) {}

  // Makes what the app's streams need and returns the app's ends. The working directory is the
  // pod's: log files are logs/<app>.log.
  StdioFds open(const std::string& app, const StdioModes& modes);
  // The master side of the app's pseudo-terminal.
  void setTerminal(const std::string& app, UniqueFd master);
  // No app of the pod writes any more: everything that is still there is read.
  void drain();
  // The app has ended: what is there is read, and whoever is attached is told.
  void appEnded(const std::string& app);

  // Whether there is anything to attach to in the pod.
  bool anyAttachable() const;
  // stdin, stdout, stderr, tty-in, tty-out: those that the app has, one a line.
  std::string endpoints(const std::string& app) const;
  // Takes a client over. Throws Error when there is no such app or endpoint.
  void attach(UniqueFd& client, const std::string& app, const std::vector<std::string>& endpoints);

  // As Terminal's: the descriptors to wait for, and what to do after poll(2) has filled them in.
  void addTo(std::vector<pollfd>& fds);
  void handle(const std::vector<pollfd>& fds);

 private:
  struct Output {
    UniqueFd fd;
    std::string name;  // "stdout"
    bool logged = false;
    bool open() const { return static_cast<bool>(fd); }
  };
  struct AppStreams {
    StdioModes modes{};
    UniqueFd input;  // of mode stream
    std::array<Output, 2> outputs;
    UniqueFd terminal;
    UniqueFd terminalPeer;
    std::string pendingInput;
    std::string pendingTyping;
    std::shared_ptr<LogFile> log;
    bool hasTerminal() const;
  };
  struct Client {
    UniqueFd fd;
    std::string app;
    bool in = false;
    std::array<bool, 2> out{};
    bool typing = false;
    bool screen = false;
    std::list<std::pair<Packet, std::string>> backlog;
    std::size_t backlogBytes = 0;
    bool ended = false;  // goes when the backlog is written
    bool dead = false;
  };

  bool readOutput(const std::string& app, AppStreams& streams, std::size_t which);
  bool readTerminal(const std::string& app, AppStreams& streams);
  void readClient(Client& client);
  void sendTo(Client& client, Packet kind, std::string_view text);
  void flush(Client& client);
  static void writePending(UniqueFd& fd, std::string& pending);
  void watch(std::vector<pollfd>& fds, int fd, short events, std::function<void(short)> handler);

  std::string pod_;
  std::map<std::string, AppStreams> apps_;
  std::list<Client> clients_;
  std::map<int, std::function<void(short)>> handlers_;  // of the poll that goes on
};

}  // namespace actool::run::native
