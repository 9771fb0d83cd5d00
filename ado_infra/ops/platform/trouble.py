"""Why pods are not Ready, in the words of whoever knows best: scheduler, kubelet or program."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from ado_infra.ops.platform.objects import Model, condition, holds

LONGEST: Final = 300
"""Characters that are shown of what somebody else says."""
_PROBE_FAILED: Final = "Readiness probe failed:"
"""How the kubelet begins what a probe printed, which may be nothing."""
_UNDER_WAY: Final = {"ContainerCreating", "PodInitializing"}
_NAMED_PODS: Final = 3
"""Pods with one and the same trouble that are named; the others are counted."""


def warnings(events: Iterable[Model]) -> dict[str, str]:
    """The latest warning about each object, by its uid."""
    ordered = sorted(events, key=lambda event: _when(event) or 0)
    return {event.involved_object.uid: event.message or "" for event in ordered}


def of_pods(pods: Iterable[Model], warned: Mapping[str, str]) -> str:
    """What keeps pods from being Ready, those with the same trouble together; empty if nothing."""
    troubled: dict[str, list[str]] = defaultdict(list)
    for pod in pods:
        if trouble := _of_pod(pod, warned.get(pod.metadata.uid, "")):
            troubled[shortened(trouble)].append(pod.metadata.name)
    return "; ".join(f"{_names(sorted(names))}: {said}" for said, names in troubled.items())


def shortened(said: str) -> str:
    """A message as one line of bearable length."""
    line = " ".join(said.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} …"


def _when(event: Model) -> float | None:
    seen = event.last_timestamp or event.event_time or event.metadata.creation_timestamp
    return seen.timestamp() if seen else None


def _names(pods: list[str]) -> str:
    named, others = pods[:_NAMED_PODS], len(pods) - _NAMED_PODS
    return ", ".join(named) + (f" and {others} more" if others > 0 else "")


def _of_pod(pod: Model, warned: str) -> str:
    if pod.metadata.deletion_timestamp:
        return "is still being deleted"
    if pod.status.phase == "Succeeded" or holds(pod, "Ready"):
        return ""
    if pod.status.reason:  # the pod as a whole: Evicted, NodeLost
        return _said(pod.status.reason, pod.status.message)
    scheduled = condition(pod, "PodScheduled")
    if scheduled and scheduled.status == "False":
        return _said(scheduled.reason, scheduled.message)
    return _of_containers(pod.status, warned)


def _of_containers(status: Model, warned: str) -> str:
    """What is wrong in a pod that has its node."""
    containers = status.container_statuses or []
    for container in [*(status.init_container_statuses or []), *containers]:
        if trouble := _of_container(container):
            return trouble
    running = [container for container in containers if container.state.running]
    if not running or any(container.started is False for container in running):
        return _said("is starting", warned)
    return _said("its readiness probe fails", warned.removeprefix(_PROBE_FAILED))


def _of_container(container: Model) -> str:
    """What is wrong with a container beyond a probe that fails; empty if nothing."""
    last = container.last_state.terminated if container.last_state else None
    if ended := container.state.terminated:
        return "" if ended.exit_code == 0 else _death(ended)
    if (waiting := container.state.waiting) and waiting.reason not in _UNDER_WAY:
        # Of a crash loop the kubelet tells only how long it waits; why is in the last death.
        return _said(waiting.reason, _death(last) if last else waiting.message)
    if last and not container.ready and last.exit_code != 0:
        return f"restarted {container.restart_count} times, not Ready yet; before: {_death(last)}"
    return ""


def _death(ended: Model) -> str:
    return _said(f"exit code {ended.exit_code} ({ended.reason})", ended.message)


def _said(what: str, message: str | None) -> str:
    said = (message or "").strip().removesuffix(":")
    return f"{what}: {said}" if said else what
