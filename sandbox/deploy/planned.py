"""What a plan asks of a sandbox: nodes, images and buckets.

A plan is read as objects: the inputs of what the engine has not made yet. Every node of a sandbox
advertises the whole machine, so what counts is only that the scheduler finds the requests a place:
the cores themselves are shared.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kubernetes.utils.quantity import parse_quantity

MINIMUM_NODES: Final = 3
"""The design's anti-affinity needs three hosts."""
CPU_SHARE: Final = 0.75
"""How full a node's CPU is planned: pods do not fill nodes without gaps."""
BUCKET_VARIABLES: Final = ("S3_BUCKET_CHECKPOINTS", "S3_BUCKET_ARTIFACTS", "S3_BUCKET_BACKUPS")
"""By which pods are told the names of their buckets."""


def containers(inputs: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Every container of a planned object's pods, if it has any."""
    spec = inputs.get("spec") or {}
    spec = (spec.get("jobTemplate") or {}).get("spec") or spec  # of a CronJob
    pod = (spec.get("template") or {}).get("spec") or {}
    return [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]


def nodes_needed(objects: Iterable[Mapping[str, Any]], cores: int | None = None) -> int:
    """Nodes with `cores` each (default: this machine's) for the pods of the planned objects.

    Counts a workload at its autoscaler's minimum plus one: room for a rollout or a step up.
    """
    listed = [planned for planned in objects if isinstance(planned.get("spec"), Mapping)]
    minimum = {
        planned["spec"]["scaleTargetRef"]["name"]: int(planned["spec"].get("minReplicas", 1))
        for planned in listed
        if planned.get("kind") == "HorizontalPodAutoscaler"
    }
    total = 0.0
    for planned in listed:
        if planned.get("kind") in {"Deployment", "StatefulSet"}:
            name = planned["metadata"]["name"]
            replicas = minimum.get(name, int(planned["spec"].get("replicas", 1)))
            total += (replicas + 1) * _cpu(planned["spec"]["template"]["spec"])
    return max(MINIMUM_NODES, math.ceil(total / ((cores or os.cpu_count() or 1) * CPU_SHARE)))


def buckets_needed(objects: Iterable[Mapping[str, Any]]) -> list[str]:
    """The buckets that the pods of the planned objects are told of."""
    return sorted({name for inputs in objects for name in _bucket_names(inputs)})


def _cpu(pod: Mapping[str, Any]) -> float:
    """The CPU that a pod requests, in cores."""
    beside = [c for c in pod.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    running = [*beside, *pod["containers"]]
    requests = [c.get("resources", {}).get("requests", {}) for c in running]
    return sum(float(parse_quantity(r.get("cpu", "0"))) for r in requests)


def _bucket_names(inputs: Mapping[str, Any]) -> list[str]:
    variables = [variable for each in containers(inputs) for variable in each.get("env") or []]
    return [v["value"] for v in variables if v["name"] in BUCKET_VARIABLES and v.get("value")]
