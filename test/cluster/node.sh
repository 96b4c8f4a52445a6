#!/usr/bin/env bash
# node.sh CLUSTER [IMAGE.tar...]: the first process in the cluster's namespaces (up.sh starts it).
# It starts the components, says when they are ready, and then reaps orphans until it is killed; all others die with it.
set -euo pipefail
. "$(dirname "$0")/common.sh"
shift
cd "$state"
export PATH=$tools:$PATH KUBECONFIG=$state/admin.kubeconfig
mkdir -p log etcd kubelet cni switches
began=${EPOCHREALTIME/./}

# Says how long it took to get here.
reached() {
  local tenths=$(((${EPOCHREALTIME/./} - began) / 100000))
  printf '%4d.%d s  %s\n' $((tenths / 10)) $((tenths % 10)) "$1"
}
daemon() {
  local log=$1
  shift
  setsid "$@" >"log/$log" 2>&1 &
}
# until_ok SECONDS WHAT COMMAND...
until_ok() {
  local tries=$(($1 * 10)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((tries-- > 0)) || fail "$what is not ready"
    sleep 0.1
  done
}
# Gives the cluster a folder of its own in place of one of the machine's. A folder that had to be made is noted for down.sh.
private_folder() {
  [ -d "$1" ] || { mkdir -p "$1" && echo "$1" >>folders; }
  mount -t tmpfs tmpfs "$1"
}

private_files() {
  for folder in /run/mount /run/netns /run/containerd /var/lib/cni /var/lib/kubelet /var/log/containers; do private_folder "$folder"; done
  # kubelet sets switches of the whole machine: let it set copies.
  local switch copy
  for switch in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
    copy=switches/${switch//\//.}
    cat "/proc/sys/$switch" >"$copy"
    mount --bind "$copy" "/proc/sys/$switch"
  done
  local plugins=/usr/lib/cni setting
  [ -e "$plugins/bridge" ] || plugins=/opt/cni/bin
  for setting in "$here"/settings/*; do
    sed -e "s|@STATE@|$state|g; s|@CLUSTER@|$cluster|g; s|@PLUGINS@|$plugins|g; s|@NODE@|$node_address|g; s|@DNS@|$dns_address|g; s|@PODS@|$pod_range|g" \
      "$setting" >"${setting##*/}"
  done
  mv bridge.conflist cni/
}

network() {
  echo 1 >/proc/sys/net/ipv4/ip_forward
  ip link set lo up
  ip address add "$node_address/32" dev lo
  ip link add cni0 type bridge
  ip address add "$pod_gateway/24" dev cni0
  ip link set cni0 up
  # What kube-proxy translates needs a route first; replies find the node by its own address.
  ip route add "$service_range" dev cni0 src "$node_address"
  ip route add "$balancer_range" dev cni0 src "$node_address"
  ip route add local "$local_range" dev lo
}

# One cgroup above all pods. kubelet does not make it, and without processes on the CPUs above it cpuset starts empty.
cgroups() {
  local root=/sys/fs/cgroup group file
  if [ -e "$root/cgroup.controllers" ]; then
    mkdir -p "$root/portcullis-$cluster"
    return
  fi
  for group in "$root"/*/; do mkdir -p "$group/portcullis-$cluster" 2>/dev/null || true; done
  group=$root/cpuset/portcullis-$cluster
  [ ! -d "$group" ] || for file in cpuset.cpus cpuset.mems; do cat "$root/cpuset/$file" >"$group/$file"; done
}

control_plane() {
  daemon etcd etcd -data-dir "$state/etcd" -unsafe-no-fsync
  # ClusterTrustBundle is off by default in this version, and the Gateway API has a feature that needs it.
  daemon apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --advertise-address="$node_address" \
    --service-cluster-ip-range="$service_range" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --feature-gates=ClusterTrustBundle=true --runtime-config=certificates.k8s.io/v1beta1/clustertrustbundles=true \
    --allow-privileged=true --client-ca-file=keys/ca.crt --tls-cert-file=keys/apiserver.crt --tls-private-key-file=keys/apiserver.key \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file=keys/tokens.pub --service-account-signing-key-file=keys/tokens.key \
    --kubelet-preferred-address-types=InternalIP --kubelet-certificate-authority=keys/ca.crt \
    --kubelet-client-certificate=keys/admin.crt --kubelet-client-key=keys/admin.key
  until_ok 90 "the API server" kubectl get --raw /readyz
  reached "API server"
  daemon scheduler kube-scheduler --kubeconfig=scheduler.kubeconfig --leader-elect=false \
    --authentication-kubeconfig=scheduler.kubeconfig --authorization-kubeconfig=scheduler.kubeconfig
  daemon controller-manager kube-controller-manager --kubeconfig=controller-manager.kubeconfig --leader-elect=false \
    --authentication-kubeconfig=controller-manager.kubeconfig --authorization-kubeconfig=controller-manager.kubeconfig \
    --use-service-account-credentials=true --service-account-private-key-file=keys/tokens.key --root-ca-file=keys/ca.crt \
    --flex-volume-plugin-dir="$state/volume-plugins"
  daemon kube-proxy kube-proxy --config=kube-proxy.yaml
  daemon load-balancer python3 "$here/load_balancer.py" "$state/keys" "$balancer_range"
}

import_images() {
  until_ok 30 containerd ctr -a containerd.sock version
  for image in "$home"/images/*.tar "$@"; do
    ctr -a containerd.sock -n k8s.io images import "$image" >/dev/null || return
  done
}

private_files
network
cgroups
daemon containerd containerd -c containerd.toml
import_images "$@" 2>log/import &
importing=$!
control_plane
wait "$importing" || fail "an image cannot be imported: $(cat log/import)"
reached "images"
daemon kubelet kubelet --config=kubelet.yaml --kubeconfig=node.kubeconfig --hostname-override=node --node-ip="$node_address" --root-dir="$state/kubelet"
sed "s|@DNS@|$dns_address|" "$here/manifests/dns.yaml" | kubectl apply -f - >/dev/null
until_ok 60 "the node's object" kubectl get node node
kubectl wait node/node --for=condition=Ready --timeout=60s >/dev/null
reached "node"
kubectl -n kube-system rollout status deployment/coredns --timeout=60s >/dev/null
reached "cluster DNS"
touch ready
wait
