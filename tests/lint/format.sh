#!/bin/bash
# Every C++ file must be as clang-format 14 would write it. To mend: format.sh DIR --fix
set -euo pipefail
cd "$1"
tool=$(command -v clang-format-14 || command -v clang-format)
mapfile -t files < <(find core discovery fetch trust cas p2p run tests \( -name '*.cc' -o -name '*.h' \) | sort)
[ ${#files[@]} -gt 0 ]
if [ "${2:-}" = --fix ]; then
  "$tool" -i "${files[@]}"
else
  "$tool" --dry-run -Werror "${files[@]}"
  echo "${#files[@]} files are formatted"
fi
