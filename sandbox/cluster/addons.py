"""What a platform expects around it: metrics, a StorageClass, CRDs, object storage."""

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
from sandbox.cluster.node import POLICY_ENGINE
from sandbox.files import made_once
from sandbox.host.network import FABRIC_ADDRESS
from sandbox.host.programs import Program
from sandbox.paths import Sandbox, cache_dir

METRICS_PORT = 4443
MONITORING_KINDS = ("podmonitors", "prometheusrules", "servicemonitors")


def programs(sandbox: Sandbox, keys: Keys, tools: Mapping[str, Path]) -> list[Program]:
    """Metrics-server, volume provisioner, object storage, beside the control plane."""
    kubeconfig = keys.kubeconfig("sandbox-addons", groups=(MASTERS,))
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

    def program(name: str, command: tuple[str, ...], ready: str | None) -> Program:
        group, after = control_plane.CGROUP, ("kube-apiserver",)
        return Program(name, command, group, sandbox.fabric, ready, after)

    return [
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
    manifests = [*_metrics(keys), storage.storage_class(), *_rights_of_the_policy_engine()]
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


def _metrics(keys: Keys) -> list[dict[str, Any]]:
    """The API of metrics-server."""
    authority = base64.b64encode(keys.authority.certificate.read_bytes()).decode()
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
    return [*service_in_the_fabric("metrics-server", METRICS_PORT), api_service]


def service_in_the_fabric(name: str, port: int) -> list[dict[str, Any]]:
    """A Service of kube-system, at port 443, without pods: a program in the fabric answers."""
    metadata = {"name": name, "namespace": "kube-system"}
    spec = {"ports": [{"port": 443, "targetPort": port}]}
    endpoint_slice = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            **metadata,
            "name": f"{name}-sandbox",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [FABRIC_ADDRESS], "conditions": {"ready": True}}],
        "ports": [{"port": port, "protocol": "TCP"}],
    }
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    return [service, endpoint_slice]


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
