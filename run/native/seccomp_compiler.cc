#include "run/native/seccomp_compiler.h"

#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>

#include "core/base/error.h"
#include "core/base/fd.h"
#include "core/base/strings.h"

namespace actool::run::native {
namespace {

// libseccomp returns negative errors.
void checkResult(int result, const std::string& attempt) {
  if (result < 0) throw SystemError(-result, "making a filter of system calls: " + attempt);
}

}  // namespace

struct FilterCompiler::Implementation {
  scmp_filter_ctx context = nullptr;
  FilterAction otherwise = 0;

  void addRule(const std::string& call, FilterAction action, const scmp_arg_cmp* condition) const {
    if (action == otherwise) return;  // libseccomp takes no rule that changes nothing
    const int number = ::seccomp_syscall_resolve_name(call.c_str());
    if (number == __NR_SCMP_ERROR) return;
    const int result =
        ::seccomp_rule_add_array(context, action, number, condition != nullptr ? 1 : 0, condition);
    // Arguments of socket(2) and its like cannot be seen where they are one call (i386).
    if (result == -EINVAL && condition != nullptr) return;
    checkResult(result, call);
  }
};

FilterAction allow() {
  return SCMP_ACT_ALLOW;
}

FilterAction failWith(int errnum) {
  return SCMP_ACT_ERRNO(static_cast<std::uint32_t>(errnum));
}

FilterAction killProcess() {
  return SCMP_ACT_KILL_PROCESS;
}

bool isSystemCall(const std::string& name) {
  return ::seccomp_syscall_resolve_name(name.c_str()) != __NR_SCMP_ERROR;
}

FilterCompiler::FilterCompiler(FilterAction otherwise)
    : implementation_(std::make_unique<Implementation>()) {
  implementation_->otherwise = otherwise;
  implementation_->context = ::seccomp_init(otherwise);
  if (implementation_->context == nullptr)
    throw Error("making a filter of system calls: no memory");
  if (::seccomp_arch_native() == SCMP_ARCH_X86_64) {
    checkResult(::seccomp_arch_add(implementation_->context, SCMP_ARCH_X86), "the 32-bit calls");
  }
  checkResult(
      ::seccomp_attr_set(implementation_->context, SCMP_FLTATR_ACT_BADARCH, failWith(ENOSYS)),
      "calls of other architectures");
  // A binary tree: fewer steps for each call, and for the kernel to look at the filter.
  checkResult(::seccomp_attr_set(implementation_->context, SCMP_FLTATR_CTL_OPTIMIZE, 2),
              "its order");
}

FilterCompiler::~FilterCompiler() {
  ::seccomp_release(implementation_->context);
}

void FilterCompiler::add(const std::string& call, FilterAction action) {
  implementation_->addRule(call, action, nullptr);
}

void FilterCompiler::addWhenMasked(const std::string& call, unsigned argument, std::uint64_t mask,
                                   std::uint64_t value, FilterAction action) {
  const scmp_arg_cmp condition{argument, SCMP_CMP_MASKED_EQ, mask, value};
  implementation_->addRule(call, action, &condition);
}

void FilterCompiler::addWhenEqual(const std::string& call, unsigned argument, std::uint64_t value,
                                  FilterAction action) {
  const scmp_arg_cmp condition{argument, SCMP_CMP_EQ, value, 0};
  implementation_->addRule(call, action, &condition);
}

void FilterCompiler::addUnlessEqual(const std::string& call, unsigned argument, std::uint64_t value,
                                    FilterAction action) {
  const scmp_arg_cmp condition{argument, SCMP_CMP_NE, value, 0};
  implementation_->addRule(call, action, &condition);
}

FilterProgram FilterCompiler::compile() const {
  const UniqueFd file(::memfd_create("filter", MFD_CLOEXEC));
  if (!file) throwErrno("making a filter of system calls");
  checkResult(::seccomp_export_bpf(implementation_->context, file.get()), "writing it");
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  if (size < 0 || ::lseek(file.get(), 0, SEEK_SET) != 0) throwErrno("reading a filter");
  FilterProgram program(static_cast<std::size_t>(size) / sizeof(sock_filter));
  readFull(file.get(), std::as_writable_bytes(std::span(program)), "the filter");
  return program;
}

}  // namespace actool::run::native
