#!/usr/bin/env bash
# Builds what a one-node Kubernetes needs into $home. Run again, it builds only what changed.
set -euo pipefail
. "$(dirname "$0")/common.sh"
mkdir -p "$tools" "$home/images" "$home/work"
exec 9>"$home/build.lock"
flock 9

# Programs of the distribution, each with the Debian package that holds it.
wanted=(containerd:containerd runc:runc nft:nftables iptables:iptables conntrack:conntrack ip:iproute2 socat:socat
  openssl:openssl curl:curl python3:python3-venv gcc:gcc pgrep:procps setpriv:util-linux)
missing=()
for pair in "${wanted[@]}"; do command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}"); done
[ -e /usr/lib/cni/bridge ] || [ -e /opt/cni/bin/bridge ] || missing+=(containernetworking-plugins)
[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
if [ ${#missing[@]} -gt 0 ]; then
  install="apt-get install --no-install-recommends ${missing[*]}"
  command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] && [ "${PORTCULLIS_CLUSTER_PACKAGES:-install}" = install ] ||
    fail "these packages are missing: ${missing[*]} (Debian: \`$install\`)"
  echo "cluster: $install"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends "${missing[@]}" >/dev/null
fi
use_go

components() {
  local version package=k8s.io/component-base/version
  cd "$here/components"
  version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
  GOBIN=$tools go install -mod=readonly -trimpath -ldflags "-s -w -X $package.gitVersion=$version \
    -X $package.gitMajor=1 -X $package.gitMinor=$(cut -d. -f2 <<<"$version")" tool
  mv "$tools/server" "$tools/etcd" # the package of etcd's main is named `server`
}

# Images are files with one static binary; the node imports them, so no registry is asked.
images() {
  local work=$home/work upstream=registry.k8s.io/gateway-api/conformance/echo-basic
  gcc -Os -static -o "$work/pause" "$here/images/pause/pause.c"
  (cd "$here/images/dns" && go build -mod=readonly -trimpath -ldflags '-s -w' -o "$work/coredns" .)
  (cd "$here/images/backend" && GOBIN=$work go install -mod=readonly -trimpath -ldflags '-s -w' tool)
  rm -f "$home"/images/*.tar
  pack() { python3 "$here/images/pack.py" "$home/images/$1.tar" "$2" "$work/$3"; }
  pack pause localhost/pause:1 pause
  pack dns localhost/coredns:1 coredns
  # The conformance suite asks for both tags. Only v0.1.0 is published as a Go module; it can do what the tests of both ask for.
  pack backend-1 "$upstream:v0.1.0" echo-basic
  pack backend-2 "$upstream:v0.2.0" echo-basic
}

inputs=("$here"/components/go.*)
step components components
inputs=("$here"/images/*/* "$here/images/pack.py")
step images images
