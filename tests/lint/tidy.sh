#!/bin/bash
# tidy.sh TREE BUILD: clang-tidy with .clang-tidy over every product source, as many at a time as
# there are cores. BUILD is configured with clang and CMAKE_UNITY_BUILD (the fuzz preset is): a
# dozen sources in one go cost little more than one, as most of the time goes into headers.
set -euo pipefail
cd "$1"
export build=$2
export tool=$(command -v clang-tidy-14 || command -v clang-tidy)
list=$(python3 - "$build/compile_commands.json" <<'EOF'
import json, os, sys
for entry in json.load(open(sys.argv[1])):
    path = os.path.relpath(entry["file"], os.path.dirname(sys.argv[1]))
    if path.startswith("../"):
        path = os.path.relpath(entry["file"])
    if not path.startswith("tests/") and "cmake_pch" not in path:
        print(entry["file"])
EOF
)
[ -n "$list" ]
one() {
  # What it counts and suppresses goes to stderr; findings to stdout.
  "$tool" -p "$build" --quiet "$1" 2>"$build/tidy-$$.log" && rm -f "$build/tidy-$$.log" && return 0
  grep -E "error:" "$build/tidy-$$.log" >&2 || true
  echo "clang-tidy: $1"
  return 1
}
export -f one
printf '%s\n' "$list" | xargs -P "$(nproc)" -I{} bash -c 'one {}'
echo "$(printf '%s\n' "$list" | wc -l) units are clean"
