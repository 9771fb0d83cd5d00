"""An API server in memory, as far as the plugin asks it anything."""

# The signatures are those of the real ones.
# ruff: noqa: ARG002

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.plugins.kubernetes.cluster import ApiError, Kind, Object, UnknownKindError, Warn
from sandbox.plugins.provider import Engine

KINDS = {
    ("v1", "ConfigMap"): Kind("v1", "configmaps", namespaced=True),
    ("v1", "Event"): Kind("v1", "events", namespaced=True),
    ("v1", "Namespace"): Kind("v1", "namespaces", namespaced=False),
    ("v1", "PersistentVolumeClaim"): Kind("v1", "persistentvolumeclaims", namespaced=True),
    ("v1", "Pod"): Kind("v1", "pods", namespaced=True),
    ("v1", "Secret"): Kind("v1", "secrets", namespaced=True),
    ("v1", "Service"): Kind("v1", "services", namespaced=True),
    ("apps/v1", "Deployment"): Kind("apps/v1", "deployments", namespaced=True),
    ("batch/v1", "Job"): Kind("batch/v1", "jobs", namespaced=True),
    ("discovery.k8s.io/v1", "EndpointSlice"): Kind(
        "discovery.k8s.io/v1", "endpointslices", namespaced=True
    ),
    ("networking.k8s.io/v1", "Ingress"): Kind("networking.k8s.io/v1", "ingresses", namespaced=True),
    ("storage.k8s.io/v1", "StorageClass"): Kind(
        "storage.k8s.io/v1", "storageclasses", namespaced=False
    ),
}


@dataclass
class FakeCluster:
    """Keeps objects by path; `events` are what a collection tells its next followers, in order."""

    objects: dict[str, Object] = field(default_factory=dict)
    events: dict[str, list[list[tuple[str, Object]]]] = field(default_factory=dict)
    refusal: ApiError | None = None
    """Answered to every write instead of doing it."""
    applied: list[tuple[str, Object, Mapping[str, str]]] = field(default_factory=list)
    deleted: list[tuple[str, str]] = field(default_factory=list)
    default_namespace: str = "default"
    interrupted: bool = False

    def kind(self, api_version: str, kind: str) -> Kind:
        try:
            return KINDS[api_version, kind]
        except KeyError:
            raise UnknownKindError(f"no {kind}") from None

    def get(self, path: str, **_: str) -> Object | None:
        return copy.deepcopy(self.objects.get(path))

    def items(self, path: str, **_: str) -> list[Object]:
        return [obj for at, obj in self.objects.items() if at.rpartition("/")[0] == path]

    def apply(self, path: str, body: Object, query: Mapping[str, str], warn: Warn) -> Object:
        if self.refusal:
            raise self.refusal
        self.applied.append((path, body, query))
        live = copy.deepcopy(body)
        live["metadata"] |= {"uid": "u", "resourceVersion": "7", "managedFields": [{}]}
        if "dryRun" not in query:
            self.objects[path] = live
        return copy.deepcopy(live)

    def delete(self, path: str, propagation: str) -> None:
        if path not in self.objects:
            raise ApiError(404, "not found")
        self.deleted.append((path, propagation))
        del self.objects[path]

    def follow(self, path: str, seconds: int, **_: str) -> Iterator[tuple[str, Object]]:
        rounds = self.events.get(path) or []
        yield from rounds.pop(0) if rounds else []

    def until_empty(self, path: str, seconds: int, **_: str) -> bool:
        return not self.items(path)

    def interrupt(self) -> None:
        self.interrupted = True


class RecordingEngine(Engine):
    """Keeps what would be shown to the user."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.warnings: list[str] = []

    def status(self, urn: str, message: str) -> None:
        self.shown.append(message)

    def warning(self, urn: str, message: str) -> None:
        self.warnings.append(message)


def config_map(name: str = "cm", **data: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }


def deployment(*, annotations: dict[str, str] | None = None, **status: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": "default",
            "generation": 2,
            "annotations": annotations or {},
        },
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}},
        "status": status,
    }


def rolled_out(**status: Any) -> Object:
    reported: Object = {
        "observedGeneration": 2,
        "updatedReplicas": 2,
        "availableReplicas": 2,
        "conditions": [
            {"type": "Available", "status": "True"},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
        ],
    }
    return deployment(**reported | status)
