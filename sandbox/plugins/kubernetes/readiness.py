"""When an object is ready: the official plugin's rules, as functions of one live object.

Covered: Deployment, StatefulSet, DaemonSet, Job, Pod, Service, Ingress, PersistentVolumeClaim,
PersistentVolume. Other kinds are ready as soon as they exist. Stricter than the official plugin is
nothing here; quicker is a Service, which is not watched for ten more seconds once it has endpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.plugins.kubernetes.cluster import Object
from sandbox.plugins.values import Value


@dataclass(frozen=True)
class Readiness:
    """What one look at an object told."""

    ready: bool
    status: str = ""
    """A line for the user while it is not ready."""
    failure: str = ""
    """Set when it can never become ready."""


Check = Callable[[Object], Readiness]


def deployment(obj: Object) -> Readiness:
    """The controller has seen the change, and every replica of the new revision is available."""
    wanted = _get(obj, "spec", "replicas", default=1)
    available = _get(obj, "status", "availableReplicas", default=0)
    updated = _get(obj, "status", "updatedReplicas", default=0)
    progressing = _condition(obj, "Progressing")
    complete = (
        _observed(obj)
        and progressing.get("status") == "True"
        and progressing.get("reason") == "NewReplicaSetAvailable"
        and _condition(obj, "Available").get("status") == "True"
        and min(available, updated) >= wanted
    )
    shown = min(available, updated)
    return Readiness(
        complete, f"[1/2] Waiting for app ReplicaSet be available ({shown}/{wanted} Pods available)"
    )


def stateful_set(obj: Object) -> Readiness:
    """Every pod is of the current revision (by the update strategy) and ready."""
    wanted = _get(obj, "spec", "replicas", default=1)
    ready = _get(obj, "status", "readyReplicas", default=0)
    updated = _get(obj, "status", "updatedReplicas", default=0)
    if _get(obj, "spec", "updateStrategy", "type", default="RollingUpdate") == "OnDelete":
        to_update = 0
    else:
        partition = _get(obj, "spec", "updateStrategy", "rollingUpdate", "partition", default=0)
        to_update = max(0, wanted - partition)
    complete = _observed(obj) and ready >= wanted and updated >= to_update
    if complete and to_update == wanted:
        complete = _get(obj, "status", "currentRevision") == _get(obj, "status", "updateRevision")
    return Readiness(
        complete, f"[1/2] Waiting for StatefulSet to be ready ({ready}/{wanted} Pods ready)"
    )


def daemon_set(obj: Object) -> Readiness:
    """Every node that should run a pod runs an available one of the current template."""
    wanted = _get(obj, "status", "desiredNumberScheduled", default=0)
    available = _get(obj, "status", "numberAvailable", default=0)
    updated = _get(obj, "status", "updatedNumberScheduled", default=0)
    if _get(obj, "spec", "updateStrategy", "type") == "OnDelete":
        updated = wanted
    return Readiness(
        _observed(obj) and min(available, updated) >= wanted,
        f"Waiting for DaemonSet to be ready ({min(available, updated)}/{wanted} Pods available)",
    )


def job(obj: Object) -> Readiness:
    """Complete; a failed Job is a failure at once."""
    failed = _condition(obj, "Failed")
    if failed.get("status") == "True":
        why = f"{failed.get('reason', 'Failed')}: {failed.get('message', '')}".strip(": ")
        return Readiness(ready=False, failure=f"the Job failed ({why})")
    active = _get(obj, "status", "active", default=0)
    complete = _condition(obj, "Complete").get("status") == "True"
    return Readiness(complete, f"Waiting for Job to complete ({active} Pods active)")


def pod(obj: Object) -> Readiness:
    """Ready, or done."""
    phase = _get(obj, "status", "phase", default="Pending")
    if phase == "Failed":
        reason = _get(obj, "status", "reason", default="its containers failed")
        return Readiness(ready=False, failure=f"the Pod failed ({reason})")
    ready = phase == "Succeeded" or _condition(obj, "Ready").get("status") == "True"
    return Readiness(ready, f"Waiting for Pod to be ready (phase {phase})")


def endpoint_slice(obj: Object) -> Readiness:
    """It targets some pod, ready or not, as the official plugin has it.

    Waiting for a ready one here could lock up: whatever makes the pod ready may come after.
    """
    return Readiness(any(endpoint.get("addresses") for endpoint in obj.get("endpoints") or []))


def load_balancer(obj: Object) -> Readiness:
    """A Service or an Ingress that was given an address."""
    assigned = bool(_get(obj, "status", "loadBalancer", "ingress"))
    return Readiness(assigned, f"[2/3] Waiting for an address for the {obj.get('kind')}")


def claim_bound(obj: Object) -> Readiness:
    """A claim or a volume that is bound; a volume that nobody claims yet is fine too."""
    phase = _get(obj, "status", "phase", default="Pending")
    done = {"Bound"} if obj.get("kind") == "PersistentVolumeClaim" else {"Bound", "Available"}
    return Readiness(phase in done, f"Waiting for the volume to be bound (phase {phase})")


def exists(obj: Object) -> Readiness:  # noqa: ARG001 - being called is the answer
    """It is there."""
    return Readiness(ready=True)


WORKLOADS: dict[str, Check] = {
    "apps/v1/DaemonSet": daemon_set,
    "apps/v1/Deployment": deployment,
    "apps/v1/StatefulSet": stateful_set,
    "batch/v1/Job": job,
    "v1/Pod": pod,
}


def needs_endpoints(service: Object) -> bool:
    """Whether the cluster itself finds this Service's pods and gives it an address of its own."""
    spec = service.get("spec") or {}
    return (
        bool(spec.get("selector"))
        and spec.get("clusterIP") != "None"
        and spec.get("type") != "ExternalName"
    )


def backends(ingress: Object) -> list[str]:
    """The names of the Services that an Ingress sends traffic to."""
    spec = ingress.get("spec") or {}
    found = [spec.get("defaultBackend")] + [
        path.get("backend")
        for rule in spec.get("rules") or []
        for path in (rule.get("http") or {}).get("paths") or []
    ]
    names = (_get(backend or {}, "service", "name", default="") for backend in found)
    return sorted({name for name in names if name})


def _observed(obj: Object) -> bool:
    return bool(
        _get(obj, "status", "observedGeneration", default=0)
        >= _get(obj, "metadata", "generation", default=1)
    )


def _condition(obj: Object, kind: str) -> Object:
    conditions: list[Object] = _get(obj, "status", "conditions") or []
    return next((entry for entry in conditions if entry.get("type") == kind), {})


def _get(obj: Value, *keys: str, default: Value = None) -> Value:
    for key in keys:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return default if obj is None else obj
