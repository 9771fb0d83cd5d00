"""What is in the picture of a platform: a box for each workload, and who talks to whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ado_infra.ops.platform.tiers import Platform, Tier

_ROWS: Final = {
    "api-gateway": "Applications",
    "dashboard": "Applications",
    "orchestrator": "Orchestration",
    "worker": "Workers",
    "postgresql": "Data",
    "redis": "Data",
}
"""Beginning of a component → its row; the platform's picture has them in this order."""
_ORDER: Final = ("Edge", *dict.fromkeys(_ROWS.values()), "Others", "Monitoring")
_BOXES_IN_A_ROW: Final = 4
_OUTSIDE: Final = {"S3_ENDPOINT": "Object storage"}
"""What is behind a variable that leads out of the platform."""
METRICS: Final = "metrics"


class State(Enum):
    """How a box is: what it is called, its ground and its edge."""

    READY = ("all Ready", "#e3f4e8", "#2f7d4f")
    PARTLY = ("partly Ready, or rolling out", "#fff3d1", "#9a6700")
    DOWN = ("none Ready", "#fde4e1", "#b3261e")
    NEUTRAL = ("no pods of its own", "#f2f4f7", "#7b8494")


@dataclass(frozen=True, kw_only=True)
class Box:
    """What is written in a box."""

    name: str
    row: str
    lines: Sequence[str]
    state: State
    said: str
    """Everything, in a sentence: for those who point at it or cannot see it."""
    watched: bool = False
    """Whether a ServiceMonitor reads its metrics."""


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """Who talks to whom, and by what it knows the address."""

    source: str
    target: str
    label: str


def boxes_of(platform: Platform) -> list[Box]:
    """The boxes in the order of the picture."""
    watched = {name for monitor in platform.monitors for name in monitor.targets}
    hosts: dict[str, dict[str, None]] = defaultdict(dict)
    for route in platform.routes:
        hosts[route.ingress][route.host] = None
    outside = {
        _outside(need.variable, need.target): need.target
        for tier in platform.tiers
        for need in tier.needs
        if not need.inside
    }
    boxes = [
        *(_neutral(name, "Edge", "Ingress", ", ".join(served)) for name, served in hosts.items()),
        *(
            _tier(tier, watched=tier.name in watched)
            for tier in platform.tiers
            if tier.kind != "Job"
        ),
        *(
            _neutral(name, "Data", "outside of the platform", host)
            for name, host in outside.items()
        ),
        *(
            _neutral(
                monitor.name,
                "Monitoring",
                f"ServiceMonitor, every {monitor.interval}",
                f"reads boxes marked {METRICS}",
            )
            for monitor in platform.monitors
        ),
    ]
    return sorted(boxes, key=lambda box: _ORDER.index(box.row))


def arrows_of(platform: Platform) -> list[Arrow]:
    """What the Ingress and the pods are given, as arrows; those of Jobs are over."""
    paths: dict[tuple[str, str], list[str]] = {}
    for route in platform.routes:
        paths.setdefault((route.ingress, route.target), []).append(route.path)
    return [
        *(
            Arrow(source=ingress, target=target, label=" ".join(dict.fromkeys(sent)))
            for (ingress, target), sent in paths.items()
        ),
        *(
            Arrow(
                source=tier.name,
                target=need.target if need.inside else _outside(need.variable, need.target),
                label=need.variable,
            )
            for tier in platform.tiers
            if tier.kind != "Job"
            for need in tier.needs
        ),
    ]


def described(boxes: Iterable[Box], arrows: Iterable[Arrow]) -> str:
    """The picture in words."""
    talks = (f"{arrow.source} talks to {arrow.target} ({arrow.label})." for arrow in arrows)
    return " ".join([*(box.said for box in boxes), *talks])


def _outside(variable: str, host: str) -> str:
    return _OUTSIDE.get(variable, host)


def _tier(tier: Tier, *, watched: bool) -> Box:
    rows = [row for component, row in _ROWS.items() if tier.component.startswith(component)]
    lines = [
        f"{tier.ready}/{tier.wanted} Ready",
        f"version {tier.version}" if tier.version else "",
        f"autoscaled {tier.autoscaler.bounds}" if tier.autoscaler else "",
        *map(str, tier.claims),
    ]
    state = State.PARTLY if tier.ready else State.DOWN
    said = ", ".join([f"{tier.kind} {tier.name}", *filter(None, lines)])
    return Box(
        name=tier.name,
        row=rows[0] if rows else "Others",
        lines=[line for line in lines if line],
        state=State.READY if tier.settled else state,
        said=f"{said}; {tier.reason}." if tier.reason else f"{said}.",
        watched=watched,
    )


def _neutral(name: str, row: str, *lines: str) -> Box:
    said = ", ".join([name, *lines])
    return Box(name=name, row=row, lines=lines, state=State.NEUTRAL, said=f"{said}.")


def in_rows(boxes: Sequence[Box]) -> list[Sequence[Box]]:
    """Boxes of a row side by side; too many of them in several rows."""
    rows = {box.row: [other for other in boxes if other.row == box.row] for box in boxes}
    return [
        row[start : start + _BOXES_IN_A_ROW]
        for row in rows.values()
        for start in range(0, len(row), _BOXES_IN_A_ROW)
    ]
