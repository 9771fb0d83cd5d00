"""Why a workload is not ready: what its pods and the cluster's events say."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.plugins.kubernetes.cluster import Cluster, Object
from sandbox.plugins.kubernetes.objects import name_of, namespace_of
from sandbox.plugins.provider import ProviderError

# Reasons that every pod passes through on its way.
_NORMAL = {"ContainerCreating", "PodInitializing", "Completed"}
_MOST = 5


def problems(cluster: Cluster, obj: Object) -> list[str]:
    """A few lines, the most telling first; empty when nothing is known or can be asked."""
    try:
        found = [
            *_conditions(obj),
            *(line for pod in _pods(cluster, obj) for line in pod_problems(pod)),
            *_events(cluster, obj),
        ]
    except ProviderError:  # the explanation must not hide what it explains
        return []
    return list(dict.fromkeys(found))[:_MOST]


def pod_problems(pod: Object) -> Iterator[str]:
    """What keeps one pod from being ready."""
    status, name = pod.get("status") or {}, name_of(pod)
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") != "True":
            yield f"Pod {name} is not scheduled: {condition.get('message', 'no reason given')}"
    if not status.get("conditions") and status.get("phase") == "Pending":
        yield f"Pod {name} is pending: no scheduler or node has taken it up yet"
    containers = [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]
    for container in containers:
        where = f"Pod {name}, container {container.get('name')}"
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting") or {}, state.get("terminated") or {}
        last = (container.get("lastState") or {}).get("terminated") or {}
        if waiting.get("reason") and waiting["reason"] not in _NORMAL:
            ended = f" (last exit code {last['exitCode']})" if "exitCode" in last else ""
            yield f"{where}: {waiting['reason']} {waiting.get('message', '')}".rstrip() + ended
        elif terminated.get("exitCode"):
            reason = terminated.get("reason", "Error")
            yield f"{where}: ended with code {terminated['exitCode']} ({reason})"
        elif "running" in state and not container.get("ready"):
            yield f"{where}: running, not ready ({container.get('restartCount', 0)} restarts)"


def _conditions(obj: Object) -> Iterator[str]:
    for condition in (obj.get("status") or {}).get("conditions") or []:
        failing = condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
        stuck = condition.get("reason") == "ProgressDeadlineExceeded"
        if failing or stuck:
            yield f"[{condition.get('reason')}] {condition.get('message', '')}".rstrip()


def _pods(cluster: Cluster, obj: Object) -> list[Object]:
    if obj.get("kind") == "Pod":
        return [obj]
    labels = ((obj.get("spec") or {}).get("selector") or {}).get("matchLabels")
    if not labels:
        return []
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    path = cluster.kind("v1", "Pod").path(namespace_of(obj))
    return cluster.items(path, labelSelector=selector)


def _events(cluster: Cluster, obj: Object) -> Iterator[str]:
    path = cluster.kind("v1", "Event").path(namespace_of(obj) or "default")
    kind, name = obj.get("kind"), name_of(obj)
    selector = f"type=Warning,involvedObject.kind={kind},involvedObject.name={name}"
    for event in cluster.items(path, fieldSelector=selector)[-2:]:
        yield f"{kind} {name}: {event.get('reason')}: {event.get('message', '')}"
