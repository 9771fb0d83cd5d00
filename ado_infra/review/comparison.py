"""A stack on both sides, and all that can be told of how they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ado_infra.review.alarms import Alarm, Gravity, alarms
from ado_infra.review.capacity import Amount, total
from ado_infra.review.connections import Connections, connections
from ado_infra.review.differences import GOING, Change, Verdict, changes, short_name
from ado_infra.review.immutable import mutable
from ado_infra.review.pods import Bounds, Manifest, bounds, containers
from ado_infra.review.preview import Preview, Step
from ado_infra.review.rolling import Roll, rolls
from ado_infra.review.rules import Rules, rules
from ado_infra.review.settings import Setting, settings
from ado_infra.review.side import Side

_NOWHERE: Final = Side()


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that some pods had, or will have.

    Attributes:
        before: None where there was none.
        after: None where there is none.
        owners: `Kind/name` of whose pods.
    """

    before: str | None
    after: str | None
    owners: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A stack, before and after.

    Attributes:
        stack: Its name.
        before: None where there was no such stack.
        after: None where there is none any more.
        preview: What the engine says.
        changes: Objects that differ; none where one side has no objects to compare.
        alarms: What a reviewer has to see.
        rolls: Pods that are replaced.
        settings: What the files say differently.
        rules: Policies; None where this side has no objects.
    """

    stack: str
    before: Side | None
    after: Side | None
    preview: Preview | None
    changes: Sequence[Change]
    alarms: Sequence[Alarm]
    rolls: Sequence[Roll]
    settings: Sequence[Setting]
    rules: Rules | None

    @property
    def problems(self) -> list[tuple[str, str]]:
        """Which side has no objects, and why."""
        sides = (("the base", self.before), ("this branch", self.after))
        return [(name, side.problem) for name, side in sides if side and side.problem]

    @property
    def comparable(self) -> bool:
        """Whether objects can be compared; a stack that is new has none before."""
        return self.after is not None and not self.problems

    @property
    def differs(self) -> bool:
        """Whether there is anything to tell."""
        told = (self.changes, self.alarms, self.settings, self.problems)
        # Not for its warnings alone: they are the same in each run.
        of_engine = self.preview and (self.preview.steps or self.preview.failed)
        one_sided = self.before is None or self.after is None
        return bool(any(told) or of_engine or one_sided or (self.rules and self.rules.differ))

    @property
    def beside(self) -> list[Step]:
        """What the engine would do and this branch does not: secrets, drift, what waits."""
        known = {title for each in self.changes for title in each.titles}
        return [s for s in (self.preview.steps if self.preview else ()) if s.title not in known]

    @property
    def done(self) -> list[Change]:
        """What this branch changes and the engine leaves: it is deployed already."""
        if self.preview is None or self.preview.failed:  # then it may not have come that far
            return []
        known = {each.title for each in self.preview.steps}
        return [
            each
            for each in self.changes
            if each.verdict is not Verdict.LEFT and each.title not in known
        ]

    @property
    def images(self) -> list[Image]:
        """Images that are others, by what they were and will be."""
        found: dict[tuple[str | None, str | None], dict[str, None]] = {}
        for change in self.changes:
            title = f"{change.kind}/{short_name(change.kind, change.name)}"
            for pair in _images(change):
                found.setdefault(pair, {})[title] = None
        return [Image(before=b, after=a, owners=tuple(titles)) for (b, a), titles in found.items()]

    @property
    def capacity(self) -> tuple[dict[str, Amount], dict[str, Amount]]:
        """What is asked of a cluster, before and after."""
        return total(_manifests(self.before)), total(_manifests(self.after))

    @property
    def connections(self) -> Connections:
        """What NetworkPolicies let through otherwise than before."""
        return connections(_manifests(self.before), _manifests(self.after))

    @property
    def replicas(self) -> list[tuple[str, Bounds | None, Bounds | None]]:
        """`Kind/name` of each workload that has other numbers of pods, before and after."""
        olds, news = bounds(_manifests(self.before)), bounds(_manifests(self.after))
        titles = sorted(olds.keys() | news.keys())
        found = [(title, olds.get(title), news.get(title)) for title in titles]
        return [each for each in found if each[1] != each[2]]


def compared(
    stack: str, before: Side | None, after: Side | None, preview: Preview | None = None
) -> Comparison:
    """All that can be told of one stack."""
    old, new = before or _NOWHERE, after or _NOWHERE
    found: list[Change] = []
    if after is not None and not old.problem and not new.problem:
        found = changes(old.objects, new.objects, mutable=mutable(new.config))
    offline = alarms(old, new, found) if before and after else []
    going = {each.title for each in found if each.verdict in GOING}
    known = {(each.gravity, each.subject) for each in offline if each.gravity is Gravity.RESTARTS}
    of_engine = [
        each
        for each in (preview.alarms() if preview else ())
        if each.subject not in going and (each.gravity, each.subject) not in known
    ]
    return Comparison(
        stack=stack,
        before=before,
        after=after,
        preview=preview,
        changes=found,
        alarms=sorted([*offline, *of_engine], key=lambda each: each.gravity),
        rolls=rolls(found, bounds(_manifests(after))),
        settings=list(settings(old, new)) if before and after else [],
        # Where nothing is known of before, nothing is new.
        rules=None if after is None or new.problem else rules(new if old.problem else old, new),
    )


def _manifests(side: Side | None) -> list[Manifest]:
    return [each.manifest for each in side.objects] if side else []


def _images(change: Change) -> Iterator[tuple[str | None, str | None]]:
    olds = {each["name"]: each.get("image") for each in containers(change.before)}
    news = {each["name"]: each.get("image") for each in containers(change.after)}
    if change.verdict is Verdict.LEFT:
        return
    for name in dict.fromkeys([*olds, *news]):
        if olds.get(name) != news.get(name):
            yield olds.get(name), news.get(name)
