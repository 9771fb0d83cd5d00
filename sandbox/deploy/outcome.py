"""How a run of the Pulumi engine ended, as its events tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pulumi.automation import events

_STUMBLE: Final = "Exception calling application: invalid state"
"""Follows an inline program's own error that came while others were being registered: the
Automation API cancels those, and fails when the engine answers one of them all the same."""
_UNTOUCHED: Final = (
    events.OpType.SAME,
    events.OpType.REFRESH,
    events.OpType.READ,
    events.OpType.READ_REPLACEMENT,
    events.OpType.DISCARD,  # what was read and no longer is
    events.OpType.DISCARD_REPLACED,
)

_HEADER: Final = re.compile(r" *(?:[-+~=><]+ *)?\S+: \(([a-z-]+)\)")
"""The first line of what the engine prints of a resource."""


@dataclass
class Outcome:
    """How a run of the engine ended.

    Attributes:
        succeeded: Whether the engine exited with 0.
        changes: Number of resources by operation, `same` among them, those only read left out.
        touched: URN → operation of every resource that was, or would be, changed.
        errors: What the engine and the program said of what went wrong, without duplicates.
        objects: Resource inputs by URN as they were planned; they may hold secrets.
        text: What the engine printed: of a preview, every detail; secrets are blotted out.
    """

    succeeded: bool = False
    changes: dict[str, int] = field(default_factory=dict)
    touched: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    objects: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    text: str = ""

    @property
    def changed(self) -> int:
        """How many resources were, or would be, touched."""
        return sum(count for operation, count in self.changes.items() if operation != "same")

    def see(self, event: events.EngineEvent) -> None:
        """Takes in one event of the engine."""
        if event.summary_event:
            changes = event.summary_event.resource_changes
            counted = {str(getattr(op, "value", op)): n for op, n in changes.items()}
            self.changes = {
                op: n for op, n in counted.items() if op == "same" or op not in _UNTOUCHED
            }
        diagnostic = event.diagnostic_event
        if diagnostic and diagnostic.severity == "error":
            message = _of_resource(diagnostic.urn) + plain(diagnostic.message)
            # The program's own words come once more, behind the host's.
            said = any(known in message for known in self.errors)
            if message not in {"", _STUMBLE} and not said:
                self.errors.append(message)
        broken = event.policy_event
        if broken and broken.enforcement_level == "mandatory":
            said = plain(broken.message)
            self.errors.append(f"{_of_resource(broken.resource_urn)}{broken.policy_name}: {said}")
        step = event.resource_pre_event
        if step and step.metadata.op not in _UNTOUCHED:
            self.touched[step.metadata.urn] = str(step.metadata.op.value)
        if step and step.metadata.new and step.metadata.new.inputs:
            self.objects[step.metadata.urn] = step.metadata.new.inputs


def details(text: str) -> str:
    """What the engine printed of a preview, without objects that would stay as they are.

    It also prints what a refresh found: of an object that nobody touched, its status.
    """
    kept, lines = True, []
    for line in text.splitlines():
        if header := _HEADER.match(line):
            kept = header[1] not in _UNTOUCHED
        elif line and not line.startswith(" "):  # a heading of the whole
            kept = True
        if kept:
            lines.append(line)
    return "\n".join(lines)


def _of_resource(urn: str | None) -> str:
    """Which object an error is about, where it is about one."""
    kind, name = (urn or "::").split("::")[-2:]
    return f"{name}: " if "kubernetes:" in kind else ""


def plain(message: str) -> str:
    """A message without the engine's colour marks."""
    return re.sub(r"<\{%.*?%\}>", "", message).strip()
