#!/bin/bash
# The main job, end to end, on this machine alone: installs what is needed, builds, makes a
# Debian root file system into a signed image, serves it with nginx over TLS as
# https://example.test/, and then does what an operator does:
#
#   actool discover example.test/web:1.0.0 | actool fetch | actool run
#
# Everything but the packages stays in build/demo. The server, the name and the CA exist only in
# a network and mount namespace that ends with this script.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
work=$here/build/demo
name=example.test/web
version=1.0.0

fail() {
  echo "demo: $*" >&2
  exit 1
}
say() { printf '\n== %s\n' "$*"; }
show() {
  printf '\n$ %s\n' "$*"
  "$@"
}

build() {
  say "packages"
  bash tests/setup.sh tests/packages.txt
  say "build (build/demo)"
  cmake -S . -B "$work" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=8 -DACTOOL_BUILD_TESTS=OFF >"$work.log" 2>&1 ||
    { tail -20 "$work.log" >&2; fail "cmake failed"; }
  ninja -C "$work" >"$work.log" 2>&1 || { tail -40 "$work.log" >&2; fail "the build failed"; }
  tail -1 "$work.log"
}

# A Debian root file system by debootstrap; of busybox alone where no registry answers.
root_file_system() {
  local target=$work/layout/rootfs mirror
  [ -e "$work/rootfs-done" ] && return 0
  rm -rf "$work/layout"
  mkdir -p "$work/layout"
  mirror=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -v security | head -1)
  say "root file system: debootstrap bookworm, from ${mirror:-no registry}"
  if [ -n "$mirror" ] && debootstrap --variant=minbase bookworm "$target" "$mirror" >"$work/debootstrap.log" 2>&1; then
    rm -rf "$target"/var/cache/apt/archives/*.deb "$target"/var/lib/apt/lists/*
  else
    say "debootstrap has no registry here (see build/demo/debootstrap.log); a busybox root instead"
    rm -rf "$target"
    mkdir -p "$target"/{bin,etc,tmp,proc,sys,dev}
    cp /bin/busybox "$target/bin/busybox"
    for applet in sh cat uname echo ls id hostname; do ln -s busybox "$target/bin/$applet"; done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$target/etc/passwd"
    echo 'root:x:0:' >"$target/etc/group"
    echo 'PRETTY_NAME="busybox"' >"$target/etc/os-release"
  fi
  touch "$work/rootfs-done"
}

certificates() {
  local ca=$work/tls
  mkdir -p "$ca"
  [ -e "$ca/done" ] && return 0
  {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
      -subj "/CN=demo CA" -addext basicConstraints=critical,CA:TRUE -keyout "$ca/ca.key" -out "$ca/ca.crt"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=example.test" \
      -keyout "$ca/host.key" -out "$ca/host.csr"
    echo "subjectAltName=DNS:example.test" >"$ca/host.ext"
    openssl x509 -req -in "$ca/host.csr" -CA "$ca/ca.crt" -CAkey "$ca/ca.key" -CAcreateserial -days 3650 \
      -extfile "$ca/host.ext" -out "$ca/host.crt"
  } >"$ca/log" 2>&1 || { cat "$ca/log" >&2; fail "openssl failed"; }
  touch "$ca/done"
}

# In the namespaces: loopback only, the name and the CA known.
inside() {
  ip link set lo up
  printf '127.0.0.1 localhost example.test\n' >"$work/hosts"
  mount --bind "$work/hosts" /etc/hosts
  mount --bind "$work/tls/ca.crt" /etc/ssl/certs/ca-certificates.crt
  unset SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
  export GNUPGHOME=$work/gnupg
  export PATH=$work/bin:$PATH
  local www=$work/www options=(--dir="$work/store" --local-config="$work/etc" --system-config="$work/lib")
  rm -rf "$work/store" "$work/etc" "$www" "$GNUPGHOME"
  mkdir -p "$www/web" "$work/etc" "$work/lib"
  install -d -m 700 "$GNUPGHOME"
  actool() { command actool "${options[@]}" "$@"; }

  say "the publisher's side: an image, its signature, its key, and a page that says where they are"
  cat >"$work/layout/manifest" <<EOF
{"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "$name",
 "labels": [{"name": "version", "value": "$version"}, {"name": "os", "value": "linux"}, {"name": "arch", "value": "amd64"}],
 "app": {"user": "0", "group": "0",
         "exec": ["/bin/sh", "-c", "echo hello from the pod; . /etc/os-release; echo \$PRETTY_NAME; id; hostname"]}}
EOF
  show actool build --overwrite "$work/layout" "$www/web-$version-linux-amd64.aci"
  gpg --batch --quiet --passphrase '' --quick-gen-key "Demo <demo@example.test>" ed25519 sign never 2>/dev/null
  show gpg --batch --quiet --armor --yes --output "$www/web-$version-linux-amd64.aci.asc" --detach-sign "$www/web-$version-linux-amd64.aci"
  gpg --batch --armor --export demo@example.test >"$www/pubkeys.gpg"
  gpgconf --kill all
  cat >"$www/web/index.html" <<'EOF'
<!DOCTYPE html><html><head>
<meta name="ac-discovery" content="example.test/web https://example.test/web-{version}-{os}-{arch}.{ext}">
<meta name="ac-discovery-pubkeys" content="example.test/web https://example.test/pubkeys.gpg">
</head></html>
EOF
  cat >"$work/nginx.conf" <<EOF
daemon off; user root; pid $work/nginx.pid; error_log $work/nginx-error.log;
events {}
http {
  access_log off; types { text/html html; } default_type application/octet-stream;
  client_body_temp_path $work/nginx-a; proxy_temp_path $work/nginx-b; fastcgi_temp_path $work/nginx-c;
  uwsgi_temp_path $work/nginx-d; scgi_temp_path $work/nginx-e;
  server { listen 127.0.0.1:443 ssl; server_name example.test; root $www; index index.html;
           ssl_certificate $work/tls/host.crt; ssl_certificate_key $work/tls/host.key; }
}
EOF
  nginx -c "$work/nginx.conf" 2>/dev/null &
  local server=$!
  trap "kill $server 2>/dev/null; wait $server 2>/dev/null || true" EXIT
  for _ in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/443) 2>/dev/null && break || sleep 0.1; done

  say "the operator's side: trust the name's key once, then discover, fetch and run"
  show actool trust add --prefix=$name --skip-fingerprint-review https://example.test/pubkeys.gpg
  show actool discover $name:$version
  printf '\n$ actool discover %s:%s | actool fetch | actool run\n' $name $version
  actool discover $name:$version | actool fetch | actool run
  show actool image list --format=table
  printf '\n$ actool list\n'
  actool list --format=table
  actool gc --grace-period=0s
  say "done"
}

if [ "${1:-}" = --inside ]; then
  inside
  exit
fi
[ "$(id -u)" = 0 ] || fail "run this as root: it installs packages and makes namespaces"
mkdir -p "$work"
build
root_file_system
certificates
exec unshare --mount --net --propagation private bash "$0" --inside
