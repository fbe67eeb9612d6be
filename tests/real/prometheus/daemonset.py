#!/usr/bin/python3
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""daemonset.py DAEMONSET.yaml MEMDRIFT.service: the manifest is what Kubernetes takes, as far as its
structure goes, fits together, and asks for no more than the systemd unit does."""
import re
import sys

import yaml

with open(sys.argv[1]) as f:
    namespace, daemonset = yaml.safe_load_all(f)
with open(sys.argv[2]) as f:
    unit = dict(line.strip().split("=", 1) for line in f if re.match(r"[A-Za-z]+=", line))

assert (namespace["apiVersion"], namespace["kind"]) == ("v1", "Namespace")
assert (daemonset["apiVersion"], daemonset["kind"]) == ("apps/v1", "DaemonSet")
assert daemonset["metadata"]["namespace"] == namespace["metadata"]["name"]

template = daemonset["spec"]["template"]
labels = template["metadata"]["labels"]
for key, value in daemonset["spec"]["selector"]["matchLabels"].items():
    assert labels[key] == value, "the selector does not select the pods"

pod = template["spec"]
assert pod["hostPID"] is True
assert "hostNetwork" not in pod and "hostIPC" not in pod
(container,) = pod["containers"]
assert isinstance(container["image"], str)
assert all(isinstance(word, str) for word in container["command"]), "words must be strings"

# The port: listened at, declared, asked by the probes and announced to Prometheus.
listen = container["command"][container["command"].index("--listen") + 1]
port = int(listen.rsplit(":", 1)[1])
(declared,) = container["ports"]
assert declared["containerPort"] == port
annotations = template["metadata"]["annotations"]
assert all(isinstance(value, str) for value in annotations.values())
assert annotations["prometheus.io/port"] == str(port)
for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
    assert container[probe]["httpGet"] == {"path": "/-/healthy", "port": declared["name"]}, probe

# Rights: the unit's capabilities and nothing else.
context = container["securityContext"]
assert context["privileged"] is False and context["allowPrivilegeEscalation"] is False
assert context["readOnlyRootFilesystem"] is True
assert context["capabilities"]["drop"] == ["ALL"]
wanted = {name.removeprefix("CAP_") for name in unit["CapabilityBoundingSet"].split()}
assert set(context["capabilities"]["add"]) == wanted, "other capabilities than the unit's"
for kind in ("requests", "limits"):
    assert set(container["resources"][kind]) == {"cpu", "memory"}

# Each volume is there and used once; only the history and /tmp are written.
volumes = {volume["name"]: volume for volume in pod["volumes"]}
mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
assert volumes.keys() == mounts.keys()
assert {n for n, m in mounts.items() if not m.get("readOnly")} == {"db", "tmp"}
for name, volume in volumes.items():
    assert "hostPath" in volume or name == "tmp"
db = container["command"][container["command"].index("--db") + 1]
assert db.startswith(mounts["db"]["mountPath"] + "/")
print("the DaemonSet fits")
