"""What a platform expects around it: DNS, metrics, a StorageClass, CRDs, object storage."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.build.gobuild import module_directory
from sandbox.build.tools import OPERATOR_CRDS
from sandbox.cluster import control_plane, kubectl, object_storage, storage
from sandbox.cluster.control_plane import MASTERS, Keys
from sandbox.cluster.node import CLUSTER_DOMAIN, DNS_ADDRESS, POLICY_ENGINE
from sandbox.files import made_once, write
from sandbox.host.network import FABRIC_ADDRESS
from sandbox.host.programs import Program, digest
from sandbox.paths import Sandbox, cache_dir

METRICS_PORT = 4443
MONITORING_KINDS = ("podmonitors", "prometheusrules", "servicemonitors")


def programs(sandbox: Sandbox, keys: Keys, tools: Mapping[str, Path]) -> list[Program]:
    """CoreDNS, metrics-server, volume provisioner, object storage, beside the control plane."""
    kubeconfig = keys.kubeconfig("sandbox-addons", groups=(MASTERS,))
    corefile = sandbox.state / "Corefile"
    zones = _corefile(kubeconfig)
    write(corefile, zones)
    serving = keys.identity("metrics-server", hosts=("metrics-server.kube-system.svc",))
    metrics_server = (
        str(tools["metrics-server"]),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={FABRIC_ADDRESS}",
        f"--secure-port={METRICS_PORT}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--kubelet-certificate-authority={keys.authority.certificate}",
        "--kubelet-preferred-address-types=InternalIP",
        "--metric-resolution=10s",  # the least it takes
        "--kubelet-request-timeout=5s",  # must be less
    )
    provisioner = (
        sys.executable,
        *("-m", "sandbox.cluster.storage", str(kubeconfig), str(sandbox.volumes)),
    )

    def program(
        name: str, command: tuple[str, ...], ready: str | None, configuration: str = ""
    ) -> Program:
        group, after = control_plane.CGROUP, ("kube-apiserver",)
        return Program(name, command, group, sandbox.fabric, ready, after, configuration)

    return [
        program(
            "coredns",
            (str(tools["coredns"]), "-conf", str(corefile)),
            f"http://{FABRIC_ADDRESS}:8181/ready",
            digest(zones),
        ),
        program("metrics-server", metrics_server, f"https://{FABRIC_ADDRESS}:{METRICS_PORT}/livez"),
        program("provisioner", provisioner, None),
        object_storage.program(sandbox, tools),
    ]


def install(sandbox: Sandbox, keys: Keys) -> None:
    """Apply the cluster's standing objects; what is there already stays as it is.

    Raises SandboxError with kubectl's words when they are refused.
    """
    # The API server makes its namespaces some moments after it is ready.
    kubectl.run(sandbox, "wait", "--for=create", "--timeout=30s", "namespace/kube-system")
    manifests = [*_dns(), *_metrics(keys), *_object_storage(), storage.storage_class()]
    manifests += _rights_of_the_policy_engine()
    kubectl.run(
        sandbox,
        *("apply", "--server-side", "--force-conflicts", "--field-manager=ado-sandbox"),
        "--filename=-",
        *(f"--filename={path}" for path in monitoring_crds()),
        standard_input=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}),
    )


def monitoring_crds() -> Sequence[Path]:
    """The Prometheus operator's CRDs, one file each, from the cache or its Go module."""
    directory = cache_dir() / "manifests" / f"prometheus-operator-{OPERATOR_CRDS.version}"
    return sorted(made_once(directory, _copy_crds).iterdir())


def _copy_crds(directory: Path) -> None:
    source = module_directory(OPERATOR_CRDS) / "example" / "prometheus-operator-crd"
    for kind in MONITORING_KINDS:
        name = f"monitoring.coreos.com_{kind}.yaml"
        (directory / name).write_bytes((source / name).read_bytes())


def _corefile(kubeconfig: Path) -> str:
    return f"""{CLUSTER_DOMAIN}:53 in-addr.arpa:53 {{
  bind {FABRIC_ADDRESS}
  kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
    kubeconfig {kubeconfig}
    ttl 5
  }}
  ready {FABRIC_ADDRESS}:8181
  errors
}}
# Nothing is outside: say at once that there is no such name.
.:53 {{
  bind {FABRIC_ADDRESS}
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""


def _dns() -> list[dict[str, Any]]:
    ports = [("dns", 53, "UDP"), ("dns-tcp", 53, "TCP")]
    named = [{"name": n, "port": port, "protocol": protocol} for n, port, protocol in ports]
    service = {"clusterIP": DNS_ADDRESS, "ports": named}
    return _beside_the_control_plane("kube-dns", service, named)


def _metrics(keys: Keys) -> list[dict[str, Any]]:
    authority = base64.b64encode(keys.authority.certificate.read_bytes()).decode()
    spec = {"ports": [{"port": 443, "targetPort": METRICS_PORT}]}
    api_service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "service": {"name": "metrics-server", "namespace": "kube-system"},
            "caBundle": authority,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
    }
    endpoints = [{"port": METRICS_PORT, "protocol": "TCP"}]
    return [*_beside_the_control_plane("metrics-server", spec, endpoints), api_service]


def _object_storage() -> list[dict[str, Any]]:
    ports = [{"name": "http", "port": object_storage.PORT, "protocol": "TCP"}]
    return _beside_the_control_plane(object_storage.SERVICE, {"ports": ports}, ports)


def _rights_of_the_policy_engine() -> list[dict[str, Any]]:
    """It reads which pods there are and which policies: nothing else, and changes nothing."""
    group, metadata = "rbac.authorization.k8s.io", {"name": f"sandbox:{POLICY_ENGINE}"}
    version, reading = f"{group}/v1", ["get", "list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["namespaces", "pods"], "verbs": reading},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": reading},
    ]
    role = {"apiVersion": version, "kind": "ClusterRole", "metadata": metadata, "rules": rules}
    binding = {
        "apiVersion": version,
        "kind": "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": metadata["name"]},
        "subjects": [{"apiGroup": group, "kind": "User", "name": POLICY_ENGINE}],
    }
    return [role, binding]


def _beside_the_control_plane(
    name: str, service: dict[str, Any], ports: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """A Service without pods: its endpoint is a program in the fabric."""
    endpoint_slice = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-sandbox",
            "namespace": "kube-system",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [FABRIC_ADDRESS], "conditions": {"ready": True}}],
        "ports": ports,
    }
    metadata = {"name": name, "namespace": "kube-system"}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        endpoint_slice,
    ]
