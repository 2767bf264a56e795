#include "run/pod_layout.h"

namespace actool::run {

std::string_view phaseDirName(Phase phase) {
  switch (phase) {
    case Phase::embryo:
      return "embryo";
    case Phase::prepare:
      return "prepare";
    case Phase::prepared:
      return "prepared";
    case Phase::run:
      return "run";
    case Phase::exitedGarbage:
      return "exited-garbage";
    case Phase::garbage:
      return "garbage";
  }
  return "";  // unreachable: every value has its case
}

}  // namespace actool::run
