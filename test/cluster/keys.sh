#!/usr/bin/env bash
# Makes the cluster's authority, a certificate for each component, and a kubeconfig for each client. They live as long as the cluster.
set -euo pipefail
. "$(dirname "$0")/common.sh"
mkdir -p -m 700 "$state/keys"
cd "$state/keys"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.crt -subj /CN=cluster-ca -days 365 2>/dev/null
openssl genrsa -out tokens.key 2048 2>/dev/null # signs the tokens of ServiceAccounts
openssl rsa -in tokens.key -pubout -out tokens.pub 2>/dev/null

# certificate FILE SUBJECT [NAMES]
certificate() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.csr" -subj "$2" 2>/dev/null
  { echo 'extendedKeyUsage = serverAuth, clientAuth'; [ -z "${3:-}" ] || echo "subjectAltName = $3"; } >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}

service=kubernetes.default.svc
certificate apiserver /CN=kube-apiserver \
  "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:$service,DNS:$service.cluster.local,IP:127.0.0.1,IP:${service_range%0/*}1,IP:$node_address"
certificate node /O=system:nodes/CN=system:node:node "DNS:node,IP:127.0.0.1,IP:$node_address"
certificate admin /O=system:masters/CN=admin
for component in controller-manager scheduler proxy; do certificate "$component" "/CN=system:kube-$component"; done

for client in node admin controller-manager scheduler proxy; do
  cat >"$state/$client.kubeconfig" <<YAML
apiVersion: v1
kind: Config
current-context: cluster
contexts: [{name: cluster, context: {cluster: cluster, user: $client}}]
clusters: [{name: cluster, cluster: {server: "https://127.0.0.1:6443", certificate-authority: $PWD/ca.crt}}]
users: [{name: $client, user: {client-certificate: $PWD/$client.crt, client-key: $PWD/$client.key}}]
YAML
done
