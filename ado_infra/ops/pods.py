"""The pods of a namespace: what they are, what they say, and what runs in them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from kubernetes import client, watch

from ado_infra.ops import NAME, execution
from ado_infra.ops.api import Model, unless_missing
from ado_infra.ops.execution import ANSWER

_BEGINNING: Final = 2**16
"""Bytes of a log that are read from its beginning."""
_POKED: Final = "ado.ops/record-changed"


class Pods:
    """The pods of one namespace.

    Attributes:
        before_change: Called before whatever changes something; it raises where that may not be
            done any more, as by who is no longer the only one at work (see `lease`).
    """

    def __init__(self, api: client.ApiClient, name: str) -> None:
        self.name = name
        self.api = api
        self.before_change: Callable[[], None] = lambda: None
        self._core = client.CoreV1Api(api)

    def pod(self, name: str) -> Model | None:
        """A pod, or None when there is none of that name."""
        return unless_missing(lambda: self._core.read_namespaced_pod(name, self.name))

    def pods_of_deployment(self, deployment: Model) -> list[Model]:
        """The pods of a Deployment that run or will, also those that are ending."""
        labels = ",".join(f"{k}={v}" for k, v in deployment.spec.selector.match_labels.items())
        found: list[Model] = self._core.list_namespaced_pod(self.name, label_selector=labels).items
        return [pod for pod in found if pod.status.phase not in {"Failed", "Succeeded"}]

    def pods_of(self, job: Model) -> list[Model]:
        """The pods of this very Job, oldest first."""
        found: list[Model] = self._core.list_namespaced_pod(
            self.name, label_selector=f"batch.kubernetes.io/controller-uid={job.metadata.uid}"
        ).items
        return sorted(found, key=lambda pod: pod.metadata.creation_timestamp)

    def looks_at(self, pod: Model, seconds: float) -> Iterator[Model | None]:
        """Looks at this very pod: None while it is there, at last what it was when deleted.

        The first look is at once, each other one takes at most so many seconds. Whatever happens to
        the pod after the first one is seen.
        """
        this = f"metadata.name={pod.metadata.name}"
        since = pod.metadata.resource_version
        while True:
            listed: Model = self._core.list_namespaced_pod(self.name, field_selector=this)
            if any(item.metadata.uid == pod.metadata.uid for item in listed.items):
                # The pod's own version may be hours old, and the API server has forgotten that.
                since = listed.metadata.resource_version
            yield None
            events = watch.Watch().stream(
                self._core.list_namespaced_pod,
                self.name,
                field_selector=this,
                resource_version=since,
                timeout_seconds=max(1, round(seconds)),
            )
            event: Model
            for event in events:
                seen = event["object"]
                if event["type"] == "DELETED" and seen.metadata.uid == pod.metadata.uid:
                    yield seen

    def first_said(self, pod: str) -> str:
        """How the log of a store's pod begins: what it said when it started.

        Raises OpsError when there is none yet.
        """
        said = unless_missing(
            lambda: self._core.read_namespaced_pod_log(
                pod, self.name, container=_store(pod), limit_bytes=_BEGINNING
            )
        )
        return str(said or "")

    def log(self, pod: str, container: str) -> str:
        """What a container has said; nothing when nobody knows any more."""
        said = unless_missing(
            lambda: self._core.read_namespaced_pod_log(pod, self.name, container=container)
        )
        return said or ""

    def poke(self, pod: str) -> None:
        """Makes the kubelet look at what a pod mounts now, which it would within a minute."""
        self.before_change()
        patch = {"metadata": {"annotations": {_POKED: f"{time.time():.3f}"}}}
        unless_missing(
            lambda: self._core.patch_namespaced_pod(pod, self.name, patch, field_manager=NAME)
        )

    def delete_pod(self, pod: Model, *, force: bool = False) -> None:
        """Deletes this very pod, not a later one of its name.

        `force`: without asking the kubelet, whose containers may run on.
        """
        self.before_change()
        options = client.V1DeleteOptions(
            preconditions=client.V1Preconditions(uid=pod.metadata.uid),
            grace_period_seconds=0 if force else None,
        )
        unless_missing(
            lambda: self._core.delete_namespaced_pod(pod.metadata.name, self.name, body=options)
        )

    def run(
        self,
        pod: str,
        command: Sequence[str],
        given: str | None = None,
        *,
        seconds: float = ANSWER,
        changes: bool = False,
    ) -> str:
        """What a command prints in a store's pod; see `execution.run`.

        `changes`: whether it changes something there.
        """
        if changes:
            self.before_change()
        return execution.run(
            self._core, self.name, pod, command, given, container=_store(pod), seconds=seconds
        )


def _store(pod: str) -> str:
    """The container of a store's pod that is the store: there may be others beside it.

    Its name is that of the StatefulSet, as the pod's is before its ordinal.
    """
    return pod.rpartition("-")[0]


def have_started(pod: Model) -> bool:
    """Whether any container of a pod runs, or ever did."""
    statuses = pod.status.container_statuses or ()
    return any(s.state.running or s.state.terminated or s.restart_count for s in statuses)


def have_ended(pod: Model) -> bool:
    """Whether the kubelet has said that every container of a pod has ended."""
    statuses = pod.status.container_statuses or ()
    return bool(statuses) and all(status.state.terminated for status in statuses)


def not_running(pod: Model) -> str:
    """Why no command can run in a pod, as it has not begun or is over; empty where one can."""
    phase = pod.status.phase
    if phase == "Running":
        return ""
    waits = waits_for([pod])
    return f"its pod is {phase}" + (f": {waits}" if waits else "")


def waits_for(pods: Sequence[Model]) -> str:
    """Why pods have not begun, where that is more than a matter of seconds."""
    unscheduled = [
        c.message
        for pod in pods
        for c in pod.status.conditions or ()
        if (c.type, c.status) == ("PodScheduled", "False")
    ]
    waiting = [one.state.waiting for pod in pods for one in containers(pod) if one.state.waiting]
    reasons = {w.reason for w in waiting} - {None, "PodInitializing", "ContainerCreating"}
    return "; ".join([*unscheduled, *sorted(reasons)])


def containers(pod: Model) -> list[Model]:
    """What the kubelet says of each container of a pod, those first that run first."""
    status = pod.status
    return [*(status.init_container_statuses or ()), *(status.container_statuses or ())]


def phase_of(pod: Model) -> tuple[str, bool]:
    """The phase of a pod, or `Terminating`, and whether it is Ready."""
    conditions = {c.type: c.status for c in pod.status.conditions or ()}
    phase: str = "Terminating" if pod.metadata.deletion_timestamp else pod.status.phase
    return phase, conditions.get("Ready") == "True"
