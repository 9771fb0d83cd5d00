"""What a reviewer has to see first: data at risk, then whatever goes, or is no longer reached."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

from ado_infra.render.objects import RenderedObject
from ado_infra.review.capacity import quantity
from ado_infra.review.differences import GOING, Change, Field, Verdict
from ado_infra.review.immutable import FLAGS
from ado_infra.review.pods import LONG_RUNNING, containers
from ado_infra.review.settings import CLUSTER
from ado_infra.review.side import Side

_CLAIMS: Final = "spec.volumeClaimTemplates"
_RETENTION: Final = "spec.persistentVolumeClaimRetentionPolicy"
_FOLLOWS: Final = {
    "Namespace": "and with it all that is in it",
    "PersistentVolumeClaim": "and with it, unless it is retained, its volume",
    "Service": "and its address with it",
    "Secret": "and its readers cannot start meanwhile",
    "CustomResourceDefinition": "and with it every object of that kind",
}
"""Kind → what goes too."""
_BACKUP: Final = "postgresql-backup"


class Gravity(IntEnum):
    """What is at stake."""

    DATA = 0
    GOES = 1
    REACHED = 2
    RESTARTS = 3


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Something that a reviewer has to see.

    Attributes:
        gravity: What is at stake.
        subject: What it is about: `Kind/name`, or a key of the stack's.
        words: What happens to it, and what follows; ours alone.
        paths: Where in the object; none where that says nothing.
        values: Before and after, where that says more.
    """

    gravity: Gravity
    subject: str
    words: str
    paths: tuple[str, ...] = ()
    values: tuple[Any, Any] | None = None


def alarms(before: Side, after: Side, changes: Sequence[Change]) -> list[Alarm]:
    """All of them, the gravest first."""
    found = [*_of_stack(before, after), *_of_protection(before.objects, after.objects)]
    for change in changes:
        found += _of_change(change, after.objects)
    return sorted(found, key=lambda each: each.gravity)


def holds_data(manifest: Mapping[str, Any]) -> bool:
    """Whether data goes, or may go, with an object."""
    kind = manifest["kind"]
    if kind == "StatefulSet":
        return bool(manifest["spec"].get("volumeClaimTemplates"))
    return kind in {"PersistentVolumeClaim", "PersistentVolume", "Namespace"}


def _of_stack(before: Side, after: Side) -> Iterator[Alarm]:
    for key in sorted(CLUSTER):
        values = before.config.get(key), after.config.get(key)
        if values[0] != values[1]:
            words = "says otherwise: on another cluster all of the stack is made anew"
            yield Alarm(gravity=Gravity.DATA, subject=key, words=words, values=values)
    for flag, kind in FLAGS.items():
        values = before.config.get(flag), after.config.get(flag)
        if values[0] == "true" != values[1]:
            words = f"is off: from now on every changed {kind} is deleted and made anew"
            yield Alarm(gravity=Gravity.GOES, subject=flag, words=words, values=values)


def _of_protection(
    before: Sequence[RenderedObject], after: Sequence[RenderedObject]
) -> Iterator[Alarm]:
    """Of objects that stay: the engine refused to destroy them, and would no longer."""
    protected = {(each.kind, each.name) for each in before if each.protect}
    for each in after:
        if (each.kind, each.name) in protected and not each.protect:
            yield Alarm(
                gravity=Gravity.DATA,
                subject=f"{each.kind}/{each.name}",
                words="is no longer protected: a later change can destroy it",
            )


def _of_change(change: Change, after: Sequence[RenderedObject]) -> Iterator[Alarm]:
    if change.verdict in GOING:
        yield _going(change, after)
    by_path = {each.path: each for each in change.fields}
    if change.kind == "StatefulSet" and change.before and change.after:
        yield from _of_stateful_set(change, by_path)
    if change.kind in {"Service", "Ingress"}:
        yield from _of_reach(change)
    if _is_backup(change):
        yield from _of_backup(by_path)


def _going(change: Change, after: Sequence[RenderedObject]) -> Alarm:
    deleted = change.verdict is Verdict.DELETED
    words = "is deleted" if deleted else "is deleted and made anew"
    if follows := _what_follows(change, after):
        words += f", {follows}"
    if change.protected:
        words += "; it is protected, so the engine refuses"
    of_backup = deleted and _is_backup(change)
    return Alarm(
        gravity=Gravity.DATA if of_backup or holds_data(change.manifest) else Gravity.GOES,
        subject=change.title,
        words=words,
        paths=change.replaced_for,
    )


def _what_follows(change: Change, after: Sequence[RenderedObject]) -> str:
    """Of an object that goes, or comes back as another one."""
    deleted = change.verdict is Verdict.DELETED
    if change.kind == "StatefulSet":
        return f"and all its pods at once{_of_volumes(change)}"
    if change.kind in LONG_RUNNING:
        return "and all its pods at once"
    if deleted and _is_backup(change):
        return "and PostgreSQL has no backup any more"
    if deleted and change.kind == "Service" and _still_called(change.name, after):
        return "and this branch still has pods or an Ingress that call it by that name"
    return _FOLLOWS.get(change.kind, "")


def _of_volumes(change: Change) -> str:
    if not holds_data(change.before):
        return ""
    policy = change.before["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    if policy.get("whenDeleted") == "Delete":
        return "; its volumes go with it"
    moves = {"metadata.name", "metadata.namespace"} & {*change.replaced_for}
    return (
        "; it leaves its volumes behind, and begins with empty ones"
        if moves
        else ("; its volumes stay")
    )


def _is_backup(change: Change) -> bool:
    return change.kind == "CronJob" and change.name == _BACKUP


def _still_called(service: str, after: Sequence[RenderedObject]) -> bool:
    """Whether anything is told to call a Service of that name."""
    host = re.compile(rf"(^|[/@,\s]){re.escape(service)}($|[:./,\s])")
    told = [
        str(variable.get("value") or "")
        for each in after
        for container in containers(each.manifest)
        for variable in container.get("env") or ()
    ]
    backends = f'"service": {{"name": {json.dumps(service)}'
    ingresses = (json.dumps(each.manifest) for each in after if each.kind == "Ingress")
    return any(map(host.search, told)) or any(backends in text for text in ingresses)


def _of_stateful_set(change: Change, by_path: Mapping[str, Field]) -> Iterator[Alarm]:
    for path, each in by_path.items():
        if path.startswith(_CLAIMS):
            yield _alarm(Gravity.DATA, change, _of_claims(path in change.left, each), each)
        elif path.startswith(_RETENTION) and "Delete" in str(each.after):
            words = "loses its volumes when it, or a pod of it, goes"
            yield _alarm(Gravity.DATA, change, words, each)
        elif path == "spec.replicas" and int(each.after or 1) < int(each.before or 1):
            words = "has fewer pods: what only those held is out of reach; their volumes stay"
            yield _alarm(Gravity.DATA, change, words, each)
    if change.verdict is Verdict.ROLLED:
        words = "restarts its pods one by one"
        yield Alarm(gravity=Gravity.RESTARTS, subject=change.title, words=words)


def _of_claims(left: bool, field: Field) -> str:  # noqa: FBT001 - what the engine does with it
    if field.path.endswith(".storage") and quantity(field.after) < quantity(field.before):
        return "asks for less than its volumes have; none shrinks, and `pulumi up` refuses it"
    if left:
        return (
            "keeps the volumes it was made with: `pulumi up` refuses others, and says how to grow "
            "them where that is possible"
        )
    return "asks for other volumes"


def _of_reach(change: Change) -> Iterator[Alarm]:
    """One for each object: what leads to it is no longer what it was."""
    others = (*change.replaced_for, *change.left)
    found = [f for f in change.fields if f.path.startswith("spec.") and f.path not in others]
    if found:
        kinds = [each for each in found if each.path == "spec.type"]
        words = (
            "is opened to others, or closed"
            if kinds
            else "leads elsewhere, or is reached otherwise"
        )
        alarm = _alarm(Gravity.REACHED, change, words, (kinds or found)[0])
        paths = tuple(each.path for each in found)
        yield alarm if len(found) == 1 else replace(alarm, paths=paths, values=None)


def _of_backup(by_path: Mapping[str, Field]) -> Iterator[Alarm]:
    suspended = by_path.get("spec.suspend")
    if suspended and suspended.after:
        yield Alarm(
            gravity=Gravity.DATA,
            subject=f"CronJob/{_BACKUP}",
            words="is suspended: PostgreSQL has no backup until it is not",
        )
    if schedule := by_path.get("spec.schedule"):
        yield Alarm(
            gravity=Gravity.DATA,
            subject=f"CronJob/{_BACKUP}",
            words="is due at other times: what is lost with both volumes is another amount",
            paths=(schedule.path,),
            values=(schedule.before, schedule.after),
        )


def _alarm(gravity: Gravity, change: Change, words: str, field: Field) -> Alarm:
    return Alarm(
        gravity=gravity,
        subject=change.title,
        words=words,
        paths=(field.path,),
        values=(field.before, field.after),
    )
