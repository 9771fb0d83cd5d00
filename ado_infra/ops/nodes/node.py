"""One node of the cluster, and the platform's pods on it."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from kubernetes import client

from ado_infra.ops import NAME
from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Model, Namespace
from ado_infra.ops.platform.reading import PART_OF

MOVED: Final = "moved-primary.ado.ops"
"""Prefix of an annotation of a node whose drain moves PostgreSQL's primary: who was it."""


class Node:
    """A node by its name, and a namespace."""

    def __init__(self, namespace: Namespace, name: str) -> None:
        self.name = name
        self._namespace = namespace
        self._core = client.CoreV1Api(namespace.api)

    def read(self) -> Model:
        """The node as it is.

        Raises OpsError when there is none.
        """
        try:
            return self._core.read_node(self.name)
        except client.ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise OpsError(
                    f"There is no node {self.name} in this cluster: `kubectl get nodes`."
                ) from None
            raise

    def takes_pods(self) -> bool:
        """Whether it is not cordoned."""
        return not self.read().spec.unschedulable

    def cordon(self, *, cordoned: bool) -> None:
        """Has no further pod come, or lets them."""
        patch = {"spec": {"unschedulable": cordoned or None}}
        self._core.patch_node(self.name, patch, field_manager=NAME)

    def moved(self) -> int | None:
        """Which pod of PostgreSQL a drain has begun to move the primary away from."""
        noted = (self.read().metadata.annotations or {}).get(self._mark)
        return int(noted) if noted in {"0", "1"} else None

    def note_moved(self, ordinal: int | None) -> None:
        """Notes that, or takes it off."""
        value = None if ordinal is None else str(ordinal)
        patch = {"metadata": {"annotations": {self._mark: value}}}
        self._core.patch_node(self.name, patch, field_manager=NAME)

    @property
    def _mark(self) -> str:
        """Another one for each platform: two may be drained off a node at the same time."""
        return f"{MOVED}/{self._namespace.name}"

    def pods(self) -> list[Model]:
        """The platform's pods there that have not ended, also those that are ending."""
        found: list[Model] = self._core.list_namespaced_pod(
            self._namespace.name,
            label_selector=PART_OF,
            field_selector=f"spec.nodeName={self.name}",
        ).items
        alive = [pod for pod in found if pod.status.phase not in {"Failed", "Succeeded"}]
        return sorted(alive, key=lambda pod: pod.metadata.name)

    def waiting(self) -> list[str]:
        """The platform's pods that have no node yet."""
        found: list[Model] = self._core.list_namespaced_pod(
            self._namespace.name, label_selector=PART_OF, field_selector="spec.nodeName="
        ).items
        return sorted(p.metadata.name for p in found if p.status.phase == "Pending")

    def evict(self, pod: Model) -> str:
        """Asks this very pod to go; returns why it may not go yet, or nothing when it goes."""
        name: str = pod.metadata.name
        preconditions = client.V1Preconditions(uid=pod.metadata.uid)
        eviction = client.V1Eviction(
            metadata=client.V1ObjectMeta(name=name, namespace=self._namespace.name),
            delete_options=client.V1DeleteOptions(preconditions=preconditions),
        )
        try:
            self._core.create_namespaced_pod_eviction(name, self._namespace.name, eviction)
        except client.ApiException as error:
            if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
                return ""  # gone already, or another one has its name
            if error.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR}:
                return _why(error)
            raise
        return ""


def _why(error: client.ApiException) -> str:
    """What the API server says, the disruption budget's name among it."""
    try:
        said = json.loads(error.body or "")
        causes = (said.get("details") or {}).get("causes") or [{}]
        return str(causes[0].get("message") or said["message"]).rstrip(".")
    except (ValueError, KeyError, AttributeError):
        return str(error.reason)
