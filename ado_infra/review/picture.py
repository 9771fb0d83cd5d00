"""The platform as rows of boxes, in letters, with what changes marked.

Not the picture of `ado-ops`: a comment shows no SVG of one's own, and that one is of what runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ado_infra.review.differences import Change, Verdict
from ado_infra.review.escaping import plain
from ado_infra.review.pods import LONG_RUNNING

MARKS: Final = {
    Verdict.DELETED: "-",
    Verdict.REPLACED: "!",
    Verdict.ROLLED: "~",
    Verdict.AGAIN: "~",
    Verdict.CHANGED: "*",
    Verdict.LEFT: "*",
    Verdict.CREATED: "+",
}
LEGEND: Final = "+ new   - deleted   ! replaced   ~ pods roll   * changed"
_KINDS: Final = (*LONG_RUNNING, "Ingress", "CronJob", "ServiceMonitor")
_ROWS: Final = {
    "edge": "Edge",
    "api-gateway": "Applications",
    "dashboard": "Applications",
    "orchestrator": "Orchestration",
    "worker": "Workers",
    "postgres": "Data",
    "redis": "Data",
    "metrics": "Monitoring",
    "monitoring": "Monitoring",
}
"""Beginning of a component → its row."""
_ORDER: Final = (*dict.fromkeys(_ROWS.values()), "Others")
_WIDTH: Final = 15
_BOXES: Final = 12
"""Of one row, at most."""


def picture(manifests: Sequence[Mapping[str, Any]], changes: Sequence[Change]) -> list[str]:
    """Lines of it; empty where no box changes."""
    marks = {name: "*" for each in changes for name in _beside(each.manifest)}
    marks |= {(each.kind, each.name): MARKS[each.verdict] for each in changes}
    shown = [each for each in manifests if each["kind"] in _KINDS]
    shown += [
        each.before for each in changes if each.verdict is Verdict.DELETED and each.kind in _KINDS
    ]
    rows: dict[str, dict[str, str]] = {row: {} for row in _ORDER}
    for each in shown:
        name = each["metadata"]["name"]
        rows[_row(each)][plain(str(name), 40)] = marks.get((each["kind"], name), "")
    if not any(mark for row in rows.values() for mark in row.values()):
        return []
    return [_line(row, boxes) for row, boxes in rows.items() if boxes] + ["", LEGEND]


def _beside(manifest: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Kinds and names that the workload may have to which an object without a box belongs."""
    spec = manifest.get("spec") or {}
    if manifest["kind"] == "HorizontalPodAutoscaler":
        name = spec["scaleTargetRef"]["name"]
    elif manifest["kind"] in {"Service", "PodDisruptionBudget"}:
        selector = spec.get("selector") or {}
        name = (selector.get("matchLabels") or selector).get("app")
    else:
        return []
    return [(kind, name) for kind in LONG_RUNNING]


def _row(manifest: Mapping[str, Any]) -> str:
    labels = manifest["metadata"].get("labels") or {}
    component = str(labels.get("app.kubernetes.io/component", ""))
    if manifest["kind"] == "Ingress":
        return _ROWS["edge"]
    return next((row for begin, row in _ROWS.items() if component.startswith(begin)), "Others")


def _line(row: str, boxes: Mapping[str, str]) -> str:
    # Those that change stay, where there are too many.
    some = sorted(boxes, key=lambda name: not boxes[name])[:_BOXES]
    drawn = [
        f"[{boxes[name]} {name}]" if boxes[name] else f"[{name}]" for name in boxes if name in some
    ]
    more = f" and {len(boxes) - len(drawn)} more" if len(boxes) > len(drawn) else ""
    return f"{row:{_WIDTH}}{' '.join(drawn)}{more}"
