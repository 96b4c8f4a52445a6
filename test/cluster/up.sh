#!/usr/bin/env bash
# up.sh [IMAGE.tar...]: starts the cluster and returns when node and DNS are ready. More images are imported.
set -euo pipefail
. "$(dirname "$0")/common.sh"
[ "$(id -u)" = 0 ] || fail "namespaces need root; run it as root"
! first_pid >/dev/null || fail "$cluster runs already"
"$here/build.sh"
"$here/down.sh" # what an interrupted run may have left
mkdir -p "$state"
"$here/keys.sh"
setsid unshare --mount --net --pid --fork --kill-child --mount-proc \
  bash "$here/node.sh" "$cluster" "$@" >"$state/node.log" 2>&1 </dev/null &
outer=$!
for _ in $(seq 3000); do
  [ ! -e "$state/ready" ] || break
  kill -0 "$outer" 2>/dev/null || break
  sleep 0.1
done
if [ ! -e "$state/ready" ]; then
  cat "$state/node.log" >&2
  kill -KILL "$outer" 2>/dev/null || true
  fail "$cluster did not become ready; its logs are in $state/log"
fi
pgrep -P "$outer" >"$state/pid"
cat "$state/node.log"
