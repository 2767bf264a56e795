#!/bin/bash
# Installs what is needed, builds and runs the tests of each configuration in $ACTOOL_PRESETS
# (all of "ci asan tsan fuzz" when it is not set; `ci` is `release` with several sources a unit):
# unit and functional tests, the unit tests under sanitizers (with ACTOOL_FULL=1 the functional
# ones too), a minute of each fuzz target, formatting, documents, include layers and clang-tidy.
# Ends with ctest's own summary. Options are passed on to ctest (`tests/all.sh -R unit`).
set -euo pipefail
cd "$(dirname "$0")/.."

bash tests/setup.sh tests/packages.txt tests/packages-test.txt

export CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-5G}
presets=(${ACTOOL_PRESETS:-ci asan tsan fuzz})
mkdir -p build/all
: >build/all/CTestTestfile.cmake
for preset in "${presets[@]}"; do
  echo "== build/$preset"
  options=()
  target=all
  case $preset in
    asan | tsan)
      if [ -z "${ACTOOL_FULL:-}" ]; then options=(-DACTOOL_FUNCTIONAL_TESTS=OFF) target=unit_tests; fi ;;
    fuzz)
      target=fuzzers ;;
  esac
  mkdir -p "build/$preset"
  cmake --preset "$preset" "${options[@]}" >"build/$preset/configure.log" 2>&1 ||
    { tail -20 "build/$preset/configure.log" >&2; exit 1; }
  ninja -C "build/$preset" "$target" >"build/$preset/build.log" 2>&1 ||
    { grep -E 'error|FAILED' "build/$preset/build.log" | head -40 >&2; exit 1; }
  tail -1 "build/$preset/build.log"
  # One run over all configurations, so that there is one summary.
  echo "subdirs(\"$PWD/build/$preset\")" >>build/all/CTestTestfile.cmake
done

# GCC 12's ThreadSanitizer does not start where the kernel randomises more address bits than 28.
runner=()
if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -gt 28 ]; then
  runner=(setarch "$(uname -m)" -R)
fi
exec "${runner[@]}" ctest --test-dir build/all -j2 --output-on-failure --no-tests=error "$@"
