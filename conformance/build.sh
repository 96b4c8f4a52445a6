#!/usr/bin/env bash
# Builds the suite and its catalogue, and puts the CRDs of the same version beside them, into the cache of test/cluster.
# Prints the folder that then holds conformance.test, catalogue.json and crds.
set -euo pipefail
suite=$(cd "$(dirname "$0")" && pwd)
. "$suite/../test/cluster/common.sh"
out=$home/conformance
mkdir -p "$out"
{
  exec 9>"$home/build.lock"
  flock 9
  use_go
} >&2

suite() {
  cd "$suite"
  # The same flags for both, so that they share what is compiled.
  go test -c -mod=readonly -trimpath -ldflags '-s -w' -o "$out/conformance.test" sigs.k8s.io/gateway-api/conformance
  go run -mod=readonly -trimpath ./catalogue >"$out/catalogue.json"
  rm -rf "$out/crds"
  cp -r "$(go list -mod=readonly -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)/config/crd" "$out/crds"
  chmod -R u+w "$out/crds"
}
inputs=("$suite"/go.* "$suite"/catalogue/*)
step conformance suite >&2
echo "$out"
