"""How many nodes a plan needs.

Every node of a sandbox advertises the whole machine, so what counts is only that the scheduler
finds the requests a place: the cores themselves are shared.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kubernetes.utils.quantity import parse_quantity

MINIMUM: Final = 3
"""The design's anti-affinity needs three hosts."""
SHARE: Final = 0.75
"""How full a node's CPU is planned: pods do not fill nodes without gaps."""


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
    return max(MINIMUM, math.ceil(total / ((cores or os.cpu_count() or 1) * SHARE)))


def _cpu(pod: Mapping[str, Any]) -> float:
    """The CPU that a pod requests, in cores."""
    requests = [c.get("resources", {}).get("requests", {}) for c in pod["containers"]]
    return sum(float(parse_quantity(r.get("cpu", "0"))) for r in requests)
