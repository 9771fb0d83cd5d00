"""Objects as the engine has planned them: the inputs of what is not made yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def containers(inputs: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Every container of a planned object's pods, if it has any."""
    spec = inputs.get("spec") or {}
    spec = (spec.get("jobTemplate") or {}).get("spec") or spec  # of a CronJob
    pod = (spec.get("template") or {}).get("spec") or {}
    return [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]
