"""Which pods are replaced by new ones, and why: in the words of what a stack is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ado_infra.review.differences import Change, Field, Verdict
from ado_infra.review.pods import Bounds, checksum, read_by

_TEMPLATE: Final = "spec.template."
_POD: Final = "spec.template.spec."


@dataclass(frozen=True, kw_only=True)
class Roll:
    """Pods that are replaced, or a Job that runs anew.

    Attributes:
        change: Their owner.
        pods: How many they are; None of a Job.
        fields: What differs in their template, but for checksums.
        read: `Kind/name` of what they read and is another.
    """

    change: Change
    pods: Bounds | None
    fields: Sequence[Field]
    read: Sequence[str]


def rolls(changes: Sequence[Change], bounds: dict[str, Bounds]) -> list[Roll]:
    """Whose pods are replaced; of a Job that runs anew what differs beside its name."""
    return [
        Roll(
            change=each,
            pods=bounds.get(each.title),
            fields=[found for found in _of_pods(each) if checksum(found.path) is None],
            read=list(dict.fromkeys(_read(each))),
        )
        for each in changes
        if each.verdict in {Verdict.ROLLED, Verdict.AGAIN}
    ]


def in_pod(path: str) -> str:
    """A path within the pod's own spec, or its template."""
    return path.removeprefix(_POD).removeprefix(_TEMPLATE)


def _of_pods(change: Change) -> Iterator[Field]:
    return (each for each in change.fields if each.path.startswith(_TEMPLATE))


def _read(change: Change) -> Iterator[str]:
    known = {**read_by(change.before), **read_by(change.after)}
    for each in _of_pods(change):
        name = checksum(each.path)
        if name is not None:
            yield known.get(name, name)
