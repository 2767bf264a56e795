// libseccomp behind a class: rules in, a program for the kernel out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "run/native/seccomp.h"

namespace actool::run::native {

// What happens to a call; SCMP_ACT_*.
using FilterAction = std::uint32_t;
FilterAction allow();
FilterAction failWith(int errnum);
FilterAction killProcess();

// Whether some architecture has a call of that name.
bool isSystemCall(const std::string& name);

// For this machine's architecture and, on x86-64, for the 32-bit one too. Calls by any other
// (x32) fail with ENOSYS.
class FilterCompiler {
 public:
  // `otherwise` is for calls without a rule.
  explicit FilterCompiler(FilterAction otherwise);
  ~FilterCompiler();
  FilterCompiler(const FilterCompiler&) = delete;
  FilterCompiler& operator=(const FilterCompiler&) = delete;

  // A call that this machine does not have needs no rule and gets none.
  void add(const std::string& call, FilterAction action);
  // When argument number `argument`, masked, is `value`.
  void addWhenMasked(const std::string& call, unsigned argument, std::uint64_t mask,
                     std::uint64_t value, FilterAction action);
  void addWhenEqual(const std::string& call, unsigned argument, std::uint64_t value,
                    FilterAction action);
  void addUnlessEqual(const std::string& call, unsigned argument, std::uint64_t value,
                      FilterAction action);

  FilterProgram compile() const;

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace actool::run::native
