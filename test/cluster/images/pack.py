#!/usr/bin/env python3
"""pack.py OUT.tar REFERENCE BINARY: packs a static binary as an image, in the form that `docker save` writes.

The image holds the binary as its entrypoint, users 0 and 65532, and a writable /tmp.
The same input gives the same bytes.
"""

import hashlib
import io
import json
import os
import platform
import sys
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
USERS = b"root:x:0:0::/:\nnonroot:x:65532:65532::/:\n"


def add(archive, path, data=None, mode=0o755):
    member = tarfile.TarInfo(path)
    member.mode = mode
    if data is None:
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    else:
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))


def layer_of(binary):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        add(archive, "etc")
        add(archive, "etc/passwd", USERS, 0o644)
        add(archive, "tmp", mode=0o1777)
        with open(binary, "rb") as file:
            add(archive, os.path.basename(binary), file.read())
    return buffer.getvalue()


def main(out, reference, binary):
    layer = layer_of(binary)
    digest = hashlib.sha256(layer).hexdigest()
    config = {
        "os": "linux",
        "architecture": ARCHITECTURES[platform.machine()],
        "config": {"Entrypoint": ["/" + os.path.basename(binary)], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    with tarfile.open(out, "w") as archive:
        add(archive, "config.json", json.dumps(config).encode(), 0o644)
        add(archive, "layer.tar", layer, 0o644)
        add(archive, "manifest.json", json.dumps(manifest).encode(), 0o644)


main(*sys.argv[1:])
