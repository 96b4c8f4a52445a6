#!/usr/bin/env bash
# exec.sh [--network] COMMAND...: runs a command inside the cluster, with KUBECONFIG set and kubectl and ctr on PATH.
# Files are the machine's own; the network is the node's, so pods, Services and addresses can be reached.
# --network enters the network alone: the process stays in the machine's list of processes, where its parent can end it.
set -euo pipefail
. "$(dirname "$0")/common.sh"
namespaces=(--mount --pid --net)
if [ "${1:-}" = --network ]; then
  namespaces=(--net)
  shift
fi
pid=$(first_pid) || fail "$cluster does not run"
[ $# -gt 0 ] || fail "which command?"
# A mount namespace would reset the working directory.
exec nsenter -t "$pid" "${namespaces[@]}" --wdns="$PWD" env \
  KUBECONFIG="$state/admin.kubeconfig" CONTAINERD_ADDRESS="$state/containerd.sock" CONTAINERD_NAMESPACE=k8s.io PATH="$tools:$PATH" "$@"
