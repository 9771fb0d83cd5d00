"""Waiting for an object to be ready or gone, with a deadline and a reason when it passes.

Nothing is polled: every wait is a watch of the API server, opened anew every few seconds to look at
the deadline and to tell the user what is missing.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.plugins.kubernetes import readiness
from sandbox.plugins.kubernetes.cluster import ApiError, Cluster, Object, UnknownKindError
from sandbox.plugins.kubernetes.diagnosis import problems
from sandbox.plugins.kubernetes.objects import (
    SKIP_AWAIT,
    TIMEOUT_SECONDS,
    annotation,
    id_of,
    name_of,
    namespace_of,
)
from sandbox.plugins.provider import ProviderError

DEFAULT_TIMEOUT = 600.0
"""Seconds, unless the resource's customTimeouts or its annotation say otherwise."""

# A watch's length: how soon a missed deadline is seen, and how often problems are looked up.
_WATCH_SECONDS = 5
_PAUSE_WITHOUT_CONNECTION = 1.0
# An Ingress may name Services that others bring, or that never come; the official rule.
_BACKEND_SECONDS = 60.0
# Deleting these does not wait either when skipAwait is set; the official rule.
_SKIP_AWAIT_ON_DELETE = {
    "v1/Namespace",
    "v1/Pod",
    "v1/ReplicationController",
    "apps/v1/DaemonSet",
    "apps/v1/Deployment",
    "apps/v1/StatefulSet",
    "batch/v1/Job",
}


class NotReadyError(Exception):
    """The wait ended without success; `reasons` say what was missing."""

    def __init__(self, message: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.reasons = list(reasons)


def timeout_of(inputs: Object, custom: float) -> float:
    """Seconds to wait: customTimeouts, else `pulumi.com/timeoutSeconds`, else the default."""
    if custom:
        return custom
    annotated = annotation(inputs, TIMEOUT_SECONDS)
    return float(annotated) if annotated.isdigit() else DEFAULT_TIMEOUT


@dataclass(frozen=True)
class _Stage:
    """One thing to see: an object of the watched collection that passes the check."""

    path: str
    query: Mapping[str, str]
    check: readiness.Check
    waiting_for: str
    """What is missing while nothing passes, for a collection that may stay empty."""
    optional_after: float = math.inf
    """Seconds after which it is no longer insisted on."""


@dataclass(frozen=True)
class Waiter:
    """Waits on behalf of one resource."""

    cluster: Cluster
    tell: Callable[[str], None]
    """Receives a line about what is being waited for."""
    cancelled: threading.Event = field(default_factory=threading.Event)

    def until_ready(self, obj: Object, timeout: float) -> None:
        """Returns when the object is ready by the rules of its kind; raises NotReadyError."""
        if annotation(obj, SKIP_AWAIT) == "true":
            return
        deadline = time.monotonic() + timeout
        for stage in self._stages(obj):
            self._pass(stage, obj, deadline, timeout)
        self.tell("")

    def until_gone(self, obj: Object, timeout: float) -> None:
        """Returns when no object of this name is left; raises NotReadyError."""
        kind = f"{obj['apiVersion']}/{obj['kind']}"
        if annotation(obj, SKIP_AWAIT) == "true" and kind in _SKIP_AWAIT_ON_DELETE:
            return
        deadline = time.monotonic() + timeout
        try:
            path, query = self._collection(obj)
            while not self.cluster.until_empty(path, self._seconds(deadline), **query):
                self.tell(f"Waiting for {obj['kind']} to be gone")
                self._insist(deadline, timeout, f"{_title(obj)} is still there")
        except UnknownKindError:
            return  # its definition went first, and took it along
        self.tell("")

    def _pass(self, stage: _Stage, obj: Object, deadline: float, timeout: float) -> None:
        insist_until = time.monotonic() + stage.optional_after
        seen, status = obj, stage.waiting_for
        while True:
            started = time.monotonic()
            for event, found in self._follow(stage, min(deadline, insist_until)):
                if event == "DELETED" and _title(found) == _title(obj):
                    raise NotReadyError(f"{_title(obj)} was deleted meanwhile")
                state = stage.check(found)
                if state.failure:
                    reasons = problems(self.cluster, found)
                    raise NotReadyError(f"{_title(obj)}: {state.failure}", reasons)
                if state.ready:
                    return
                seen, status = found, state.status or status
                self.tell(status)
            if time.monotonic() > insist_until:
                self.tell(f"{stage.waiting_for}: not seen, going on without")
                return
            reasons = problems(self.cluster, seen)
            missing = status.partition("] ")[2] or status  # without its step
            message = f"{_title(obj)} is not ready: {missing}"
            self._insist(deadline, timeout, message, reasons)
            self.tell(reasons[0] if reasons else status)
            if time.monotonic() - started < _PAUSE_WITHOUT_CONNECTION:
                left = deadline - time.monotonic()
                self.cancelled.wait(max(0.0, min(left, _PAUSE_WITHOUT_CONNECTION)))

    def _follow(self, stage: _Stage, until: float) -> Iterator[tuple[str, Object]]:
        try:
            yield from self.cluster.follow(stage.path, self._seconds(until), **stage.query)
        except ApiError:
            raise
        except ProviderError:
            return  # no connection just now: the deadline decides

    @staticmethod
    def _seconds(deadline: float) -> int:
        """How long to watch before the next look at the deadline."""
        left = min(deadline - time.monotonic(), _WATCH_SECONDS)
        return max(1, math.ceil(left))

    def _insist(
        self, deadline: float, timeout: float, message: str, reasons: Sequence[str] = ()
    ) -> None:
        """Raises NotReadyError when there is no time left, or the user cancelled."""
        if self.cancelled.is_set():
            raise NotReadyError(f"Waiting was cancelled. {message}", reasons)
        if time.monotonic() >= deadline:
            raise NotReadyError(f"After {timeout:g} s, {message}", reasons)

    def _stages(self, obj: Object) -> Iterator[_Stage]:
        kind = f"{obj['apiVersion']}/{obj['kind']}"
        if kind in readiness.WORKLOADS:
            yield self._itself(obj, readiness.WORKLOADS[kind])
        elif kind == "v1/Service":
            if readiness.needs_endpoints(obj):
                yield self._endpoints(obj)
            if obj["spec"].get("type") == "LoadBalancer":
                yield self._itself(obj, readiness.load_balancer)
        elif kind == "networking.k8s.io/v1/Ingress":
            for name in readiness.backends(obj):
                yield self._backend(obj, name)
            yield self._itself(obj, readiness.load_balancer)
        elif kind == "v1/PersistentVolume" or (
            kind == "v1/PersistentVolumeClaim" and not self._binds_late(obj)
        ):
            yield self._itself(obj, readiness.claim_bound)

    def _itself(self, obj: Object, check: readiness.Check) -> _Stage:
        path, query = self._collection(obj)
        return _Stage(path, query, check, f"Waiting for {obj['kind']}")

    def _endpoints(self, service: Object) -> _Stage:
        path = self.cluster.kind("discovery.k8s.io/v1", "EndpointSlice").path(namespace_of(service))
        selector = {"labelSelector": f"kubernetes.io/service-name={name_of(service)}"}
        return _Stage(
            path,
            selector,
            readiness.endpoint_slice,
            "[1/3] Finding Pods to direct traffic to: none exists yet, or none carries the labels",
        )

    def _backend(self, ingress: Object, service: str) -> _Stage:
        path = self.cluster.kind("v1", "Service").path(namespace_of(ingress))
        return _Stage(
            path,
            {"fieldSelector": f"metadata.name={service}"},
            readiness.exists,
            f"[1/3] Finding Service {service} of the Ingress",
            optional_after=_BACKEND_SECONDS,
        )

    def _collection(self, obj: Object) -> tuple[str, dict[str, str]]:
        kind = self.cluster.kind(obj["apiVersion"], obj["kind"])
        return kind.path(namespace_of(obj)), {"fieldSelector": f"metadata.name={name_of(obj)}"}

    def _binds_late(self, claim: Object) -> bool:
        """Whether its storage class binds a claim only once a pod uses it."""
        name = (claim.get("spec") or {}).get("storageClassName")
        if not name:
            return False
        path = self.cluster.kind("storage.k8s.io/v1", "StorageClass").path(name=name)
        storage_class = self.cluster.get(path) or {}
        return storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def _title(obj: Object) -> str:
    return f"{obj['kind']} {id_of(obj)}"
