#!/usr/bin/env bash
# Builds the suite, our own tests and the catalogue of both, and puts the CRDs of the same version beside them, into the
# cache of test/cluster. Prints the folder that then holds conformance.test, own.test, catalogue.json and crds.
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
  # The same flags for all, so that they share what is compiled.
  go test -c -mod=readonly -trimpath -ldflags '-s -w' -o "$out/conformance.test" sigs.k8s.io/gateway-api/conformance
  go test -c -mod=readonly -trimpath -ldflags '-s -w' -o "$out/own.test" ./own
  go run -mod=readonly -trimpath ./catalogue >"$out/catalogue.json"
  rm -rf "$out/crds"
  cp -r "$(go list -mod=readonly -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)/config/crd" "$out/crds"
  chmod -R u+w "$out/crds"
}
inputs=("$suite"/go.* "$suite"/catalogue/* "$suite"/own/*.go "$suite"/own/manifests/*)
step conformance suite >&2
echo "$out"
