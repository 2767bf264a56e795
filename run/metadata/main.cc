// The metadata service of one pod: HTTP on a socket that the pod's supervisor made in the pod's
// network namespace, by a process outside of the pod, which has given up every right.
//
//   metadata UUID        descriptor 3: the listening socket; $ACTOOL_METADATA_TOKEN; the working
//                        directory is the pod's
#include <grp.h>
#include <microhttpd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include "core/base/error.h"
#include "core/base/log.h"
#include "run/metadata/service.h"

namespace actool::run::metadata {
namespace {

constexpr int kSocket = 3;
constexpr uid_t kNobody = 65534;
// Apps are hostile clients: of their connections, and what each may hold, there is a limit.
constexpr unsigned kMaxConnections = 64;
constexpr unsigned kTimeoutSeconds = 10;
constexpr std::size_t kConnectionMemory = 32 << 10;

struct Request {
  Form form;
  std::size_t bytes = 0;
  bool tooLong = false;
  MHD_PostProcessor* processor = nullptr;
  ~Request() {
    if (processor != nullptr) MHD_destroy_post_processor(processor);
  }
};

MHD_Result takeField(void* context, MHD_ValueKind, const char* key, const char*, const char*,
                     const char*, const char* data, std::uint64_t, std::size_t size) {
  auto& request = *static_cast<Request*>(context);
  if (key == nullptr) return MHD_YES;
  request.bytes += size;
  if (request.bytes > kMaxForm) {
    request.tooLong = true;
    return MHD_NO;
  }
  request.form[key].append(data, size);
  return MHD_YES;
}

MHD_Result send(MHD_Connection* connection, const Reply& reply) {
  MHD_Response* response = MHD_create_response_from_buffer(
      reply.body.size(), const_cast<char*>(reply.body.data()), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, "Content-Type", std::string(reply.contentType).c_str());
  const MHD_Result result =
      MHD_queue_response(connection, static_cast<unsigned>(reply.status), response);
  MHD_destroy_response(response);
  return result;
}

MHD_Result handle(void* context, MHD_Connection* connection, const char* url, const char* method,
                  const char*, const char* data, std::size_t* size, void** state) {
  const auto& pod = *static_cast<const PodMetadata*>(context);
  auto* request = static_cast<Request*>(*state);
  if (request == nullptr) {
    auto fresh = std::make_unique<Request>();
    if (std::string_view(method) == "POST") {
      fresh->processor = MHD_create_post_processor(connection, 4096, &takeField, fresh.get());
    }
    *state = fresh.release();
    return MHD_YES;
  }
  if (*size != 0) {
    if (request->processor != nullptr && !request->tooLong) {
      MHD_post_process(request->processor, data, *size);
    }
    *size = 0;
    return MHD_YES;
  }
  if (request->tooLong) return send(connection, {413, kText, "the form is too long\n"});
  return send(connection, answer(pod, method, url, request->form));
}

void forget(void*, MHD_Connection*, void** state, MHD_RequestTerminationCode) {
  delete static_cast<Request*>(*state);
  *state = nullptr;
}

// What apps send is read with no right to anything: no file of root's, no new privilege.
void giveUpRights() {
  const rlimit noFiles{0, 0};
  if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
      ::setresuid(kNobody, kNobody, kNobody) != 0 ||
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::setrlimit(RLIMIT_FSIZE, &noFiles) != 0) {
    throwErrno("giving up rights");
  }
  // The user ID's change has undone it, had the parent asked for it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) throwErrno("binding to the pod");
}

int serve(int argc, char** argv) {
  const char* token = std::getenv("ACTOOL_METADATA_TOKEN");
  const auto uuid = argc == 2 ? Uuid::parse(argv[1]) : std::nullopt;
  if (!uuid || token == nullptr) throw UsageError("it is started by a pod");
  const pid_t parent = ::getppid();
  PodMetadata pod = PodMetadata::load(".", *uuid, token);
  giveUpRights();
  if (::getppid() != parent) return 0;  // it died in between

  MHD_Daemon* daemon = MHD_start_daemon(
      MHD_USE_EPOLL, 0, nullptr, nullptr, &handle, &pod, MHD_OPTION_LISTEN_SOCKET, kSocket,
      MHD_OPTION_CONNECTION_LIMIT, kMaxConnections, MHD_OPTION_CONNECTION_TIMEOUT, kTimeoutSeconds,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionMemory, MHD_OPTION_NOTIFY_COMPLETED, &forget,
      nullptr, MHD_OPTION_END);
  if (daemon == nullptr) throw Error("the metadata service cannot be started");
  while (MHD_run_wait(daemon, -1) == MHD_YES) {
  }
  MHD_stop_daemon(daemon);
  return 0;
}

}  // namespace
}  // namespace actool::run::metadata

int main(int argc, char** argv) {
  actool::log::setProgram("metadata service");
  try {
    return actool::run::metadata::serve(argc, argv);
  } catch (const actool::Error& error) {
    actool::log::error("{}", error.what());
  } catch (const std::bad_alloc&) {
    actool::log::error("out of memory");
  }
  return static_cast<int>(actool::ExitCode::failure);
}
