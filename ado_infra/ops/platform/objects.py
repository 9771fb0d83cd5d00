"""Objects of the API server as the platform's readers take them: a list for each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Model: TypeAlias = Any
"""A model of the client: to its types every field may be missing, also those that never are."""


@dataclass(frozen=True, kw_only=True)
class Objects:
    """What was seen of a namespace; a kind that was not asked for is empty."""

    deployments: Sequence[Model] = ()
    stateful_sets: Sequence[Model] = ()
    jobs: Sequence[Model] = ()
    autoscalers: Sequence[Model] = ()
    pods: Sequence[Model] = ()
    warnings: Sequence[Model] = ()
    """Events of that type."""
    services: Sequence[Model] = ()
    claims: Sequence[Model] = ()
    ingresses: Sequence[Model] = ()
    config_maps: Sequence[Model] = ()
    """The record of PostgreSQL's roles alone."""
    monitors: Sequence[Mapping[str, Any]] = ()
    """ServiceMonitors, as plain mappings."""

    @property
    def workloads(self) -> list[Model]:
        """What is meant to run for ever."""
        return [*self.deployments, *self.stateful_sets]


def condition(model: Model, kind: str) -> Model | None:
    """An object's condition of that type, if it has one."""
    return next((c for c in model.status.conditions or [] if c.type == kind), None)


def holds(model: Model, kind: str) -> bool:
    """Whether an object's condition of that type is true."""
    found = condition(model, kind)
    return found is not None and found.status == "True"


def labels(model: Model) -> Mapping[str, str]:
    """The labels of an object or of a pod template."""
    found: Mapping[str, str] = (model.metadata and model.metadata.labels) or {}
    return found


def within(selector: Mapping[str, str] | None, found: Mapping[str, str]) -> bool:
    """Whether a selector selects these labels; here an empty one selects nothing."""
    return bool(selector) and selector.items() <= found.items()
