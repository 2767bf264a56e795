#!/bin/bash
# Installs the Debian packages named in the given lists (files of names, '#' comments), asking
# nothing. Packages that are there already are left alone, so that a second run is quick and
# needs no network.
set -euo pipefail

fail() {
  echo "setup: $*" >&2
  exit 1
}

[ -r /etc/debian_version ] || fail "this is not Debian; install the packages of $* with your own package manager"
wanted=$(sed 's/#.*//' "$@" | tr -s '[:space:]' '\n' | sort -u | sed '/^$/d')
missing=()
for package in $wanted; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
# Any nginx serves; nginx-light is what a bare machine gets.
if dpkg-query -W -f='${Status}' nginx 2>/dev/null | grep -q '^install ok installed$'; then
  missing=("${missing[@]/#nginx-light/}")
fi
todo=()
for package in "${missing[@]}"; do [ -n "$package" ] && todo+=("$package"); done
[ ${#todo[@]} -eq 0 ] && exit 0
[ "$(id -u)" = 0 ] || fail "these packages are missing and only root can install them: ${todo[*]}"

export DEBIAN_FRONTEND=noninteractive
echo "setup: installing ${todo[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Services must not start merely because their package was installed.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$log" "$policy"' EXIT
fi
apt-get -qq update >"$log" 2>&1 || { cat "$log" >&2; fail "apt-get update failed: is a Debian package registry reachable?"; }
apt-get -qq -y --no-install-recommends install "${todo[@]}" >"$log" 2>&1 ||
  { tail -20 "$log" >&2; fail "apt-get could not install: ${todo[*]}"; }
