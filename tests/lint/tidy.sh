#!/bin/bash
# clang-tidy with .clang-tidy over every product source, as many at a time as there are cores.
# A file whose preprocessed text, flags and .clang-tidy were clean before is not looked at again
# (the answers are kept in BUILD/tidy-cache).
set -euo pipefail
cd "$1"
build=$2
export build
export cache=$build/tidy-cache
mkdir -p "$cache" "$build/tidy-db"
export tool=$(command -v clang-tidy-14 || command -v clang-tidy)
# clang does not know GCC's precompiled headers: their options are left out of its database.
python3 - "$build/compile_commands.json" "$build/tidy-db/compile_commands.json" <<'EOF'
import json, re, sys
commands = json.load(open(sys.argv[1]))
for entry in commands:
    command = re.sub(r" -Winvalid-pch| -include \S+cmake_pch\.hxx| -fpch-preprocess", "", entry["command"])
    command = re.sub(r"^.*?ccache\S* ", "", command)
    entry["command"] = re.sub(r" -Wno-(maybe-uninitialized|restrict|stringop-overflow|stringop-overread|dangling-pointer)", "", command)
json.dump(commands, open(sys.argv[2], "w"))
EOF
one() {
  local file=$1 key
  key=$( (cat .clang-tidy; "$tool" --version; python3 - "$build/tidy-db/compile_commands.json" "$PWD/$file" <<'EOF'
import json, shlex, subprocess, sys
for entry in json.load(open(sys.argv[1])):
    if entry["file"] == sys.argv[2]:
        words = shlex.split(entry["command"])
        output = words.index("-o")
        del words[output:output + 2]
        words[words.index("-c")] = "-E"
        print(" ".join(words))
        sys.stdout.flush()
        sys.exit(subprocess.run(words).returncode)
sys.exit(f"{sys.argv[2]} is not in the compilation database")
EOF
  ) | sha256sum | cut -d' ' -f1)
  [ -e "$cache/$key" ] && return 0
  if "$tool" -p "$build/tidy-db" --quiet --extra-arg=-Wno-unknown-warning-option "$file" 2>/dev/null; then
    : >"$cache/$key"
  else
    echo "clang-tidy: $file"
    return 1
  fi
}
export -f one
mapfile -t files < <(find core discovery fetch trust cas p2p run -name '*.cc' | sort)
[ ${#files[@]} -gt 0 ]
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -I{} bash -c 'set -o pipefail; one {}'
echo "${#files[@]} files are clean"
