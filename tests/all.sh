#!/bin/bash
# Installs what is needed, builds every configuration and runs every test: unit, functional,
# AddressSanitizer with UndefinedBehaviorSanitizer, ThreadSanitizer, fuzz smoke, formatting, clang-tidy
# and include layers. Ends with ctest's own summary. Options are passed on to ctest
# (`tests/all.sh -R unit`).
set -euo pipefail
cd "$(dirname "$0")/.."

bash tests/setup.sh tests/packages.txt tests/packages-test.txt

export CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-5G}
for preset in release asan tsan fuzz; do
  echo "== build/$preset"
  cmake --preset "$preset" >"build-$preset.log" 2>&1 || { tail -20 "build-$preset.log" >&2; exit 1; }
  mv "build-$preset.log" "build/$preset/configure.log"
  targets=()
  [ "$preset" = fuzz ] && targets=(fuzzers)
  ninja -C "build/$preset" "${targets[@]}" >"build/$preset/build.log" 2>&1 ||
    { grep -E 'error|FAILED' "build/$preset/build.log" | head -40 >&2; exit 1; }
  tail -1 "build/$preset/build.log"
done

# One run over all configurations, so that there is one summary.
mkdir -p build/all
: >build/all/CTestTestfile.cmake
for preset in release asan tsan fuzz; do
  echo "subdirs(\"$PWD/build/$preset\")" >>build/all/CTestTestfile.cmake
done

# GCC 12's ThreadSanitizer does not start where the kernel randomises more address bits than 28.
runner=()
if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -gt 28 ]; then
  runner=(setarch "$(uname -m)" -R)
fi
exec "${runner[@]}" ctest --test-dir build/all -j2 --output-on-failure --no-tests=error "$@"
