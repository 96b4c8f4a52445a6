#!/usr/bin/env python3
"""load_balancer.py KEYS RANGE: gives Services of type LoadBalancer an address, as a cloud would; kube-proxy does the rest.

`spec.loadBalancerIP` is obeyed if it is free and inside RANGE; if not, the Service gets no address.
An address is free again when its Service is gone or has another type.
"""

import http.client
import ipaddress
import json
import ssl
import sys
import time

SERVER = ("127.0.0.1", 6443)


class Api:
    def __init__(self, keys):
        self.tls = ssl.create_default_context(cafile=f"{keys}/ca.crt")
        self.tls.load_cert_chain(f"{keys}/admin.crt", f"{keys}/admin.key")

    def open(self, method, path, body=None, timeout=30):
        connection = http.client.HTTPSConnection(*SERVER, context=self.tls, timeout=timeout)
        headers = {"Content-Type": "application/merge-patch+json"} if body else {}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        if answer.status >= 400:
            raise OSError(f"{method} {path}: {answer.status} {answer.read(200)}")
        return answer

    def set_address(self, service, address):
        ingress = [{"ip": address}] if address else []
        namespace, name = service
        path = f"/api/v1/namespaces/{namespace}/services/{name}/status"
        self.open("PATCH", path, {"status": {"loadBalancer": {"ingress": ingress}}}).read()


class Pool:
    """Who holds which address: {(namespace, name): address}."""

    def __init__(self, network):
        self.network = network
        self.held = {}

    def choose(self, service, wanted):
        others = {address for holder, address in self.held.items() if holder != service}
        if wanted:
            inside = ipaddress.ip_address(wanted) in self.network
            return wanted if inside and wanted not in others else None
        mine = self.held.get(service)
        return mine or next((str(a) for a in self.network.hosts() if str(a) not in others), None)


def key_of(service):
    return service["metadata"]["namespace"], service["metadata"]["name"]


def present_address(service):
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
    return ingress[0].get("ip")


def see(api, pool, service):
    key, spec, present = key_of(service), service["spec"], present_address(service)
    if spec.get("type") != "LoadBalancer":
        pool.held.pop(key, None)
        return
    if present:
        pool.held[key] = present
    address = pool.choose(key, spec.get("loadBalancerIP"))
    if address:
        pool.held[key] = address
    else:
        pool.held.pop(key, None)
    if address != present:
        print(key, "gets", address, flush=True)
        api.set_address(key, address)


def follow(api, pool):
    services = json.load(api.open("GET", "/api/v1/services"))
    pool.held.clear()
    # Those that have an address keep it, so they come first.
    for service in sorted(services["items"], key=lambda service: not present_address(service)):
        see(api, pool, service)
    since = services["metadata"]["resourceVersion"]
    path = f"/api/v1/services?watch=1&timeoutSeconds=900&resourceVersion={since}"
    for line in api.open("GET", path, timeout=1000):
        event = json.loads(line)
        if event["type"] == "ERROR":
            return
        if event["type"] == "DELETED":
            pool.held.pop(key_of(event["object"]), None)
        else:
            see(api, pool, event["object"])


def main(keys, network):
    api, pool = Api(keys), Pool(ipaddress.ip_network(network))
    while True:
        try:
            follow(api, pool)
        except (OSError, ValueError, http.client.HTTPException) as error:
            print("lists again:", error, flush=True)
            time.sleep(0.5)


main(*sys.argv[1:])
