#!/usr/bin/env bash
# Ends the cluster with all that runs in it, and removes what it left outside its namespaces: cgroups, its state, empty folders.
set -euo pipefail
. "$(dirname "$0")/common.sh"
if pid=$(first_pid); then
  kill -KILL "$pid"
  while [ -e "/proc/$pid" ]; do sleep 0.05; done
fi
# A cgroup can be removed only when the kernel has buried its last process.
for _ in $(seq 50); do
  left=0
  for group in /sys/fs/cgroup/"portcullis-$cluster" /sys/fs/cgroup/*/"portcullis-$cluster"; do
    [ -d "$group" ] || continue
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || left=1
  done
  [ "$left" = 1 ] || break
  sleep 0.1
done
if [ -f "$state/folders" ]; then
  tac "$state/folders" | while read -r folder; do rmdir "$folder" 2>/dev/null || true; done
fi
rm -rf "$state"
