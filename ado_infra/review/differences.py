"""What differs between the objects of two sides, and what becomes of each."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Any, Final

from ado_infra.render.objects import RenderedObject
from ado_infra.review.immutable import replacing

Manifest = Mapping[str, Any]
_JOB_DIGEST: Final = re.compile(r"-[0-9a-f]{10}$")
_KEYS: Final = ("name", "mountPath", "key", "containerPort", "host", "path")
"""By which the items of a list are told apart, where each has one of its own."""
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_POD_TEMPLATE: Final = "spec.template."


@unique
class Verdict(StrEnum):
    """What becomes of an object."""

    DELETED = "deleted"
    REPLACED = "replaced"
    ROLLED = "changed, pods roll"
    AGAIN = "runs anew"
    CHANGED = "changed"
    LEFT = "left as it is"
    CREATED = "new"


GOING: Final = frozenset({Verdict.DELETED, Verdict.REPLACED})
"""Of these nothing is left, for a while or for good."""


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """Stands for a secret value: only whether it is another one can be told."""

    digest: str


@dataclass(frozen=True, kw_only=True)
class Field:
    """A value that differs.

    Attributes:
        path: Such as `spec.template.spec.containers[worker].image`.
        before: None where there is none.
        after: None where there is none.
    """

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class Change:
    """An object that is not the same on both sides.

    Attributes:
        before: Its manifest; empty when it is new. Secret values are `Hidden`.
        after: Its manifest; empty when it goes.
        fields: What differs, where it is on both sides.
        verdict: What becomes of it.
        replaced_for: Paths for whose sake it is replaced.
        left: Paths that the engine leaves as they are.
        protected: Whether the engine refused to destroy it.
    """

    before: Manifest
    after: Manifest
    fields: tuple[Field, ...]
    verdict: Verdict
    replaced_for: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    protected: bool = False

    @property
    def manifest(self) -> Manifest:
        """The one that will be, or that was."""
        return self.after or self.before

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """Its name in the cluster; of a Job that runs anew, that of the new one."""
        return str(self.manifest["metadata"]["name"])

    @property
    def title(self) -> str:
        """`Kind/name`."""
        return f"{self.kind}/{self.name}"

    @property
    def titles(self) -> set[str]:
        """That one, and what it was: a Job that runs anew had another name."""
        sides = (each for each in (self.before, self.after) if each)
        return {f"{each['kind']}/{each['metadata']['name']}" for each in sides}


def changes(
    before: Sequence[RenderedObject],
    after: Sequence[RenderedObject],
    *,
    mutable: frozenset[str],
) -> list[Change]:
    """Every object that differs, the gravest first; `mutable`: kinds whose data may change."""
    olds = {_key(each): each for each in before}
    news = {_key(each): each for each in after}
    gone = {_settled(key): key for key in olds if key not in news}
    found: list[Change] = []
    for key, new in news.items():
        # A Job that does something else has another name, and an object may move.
        old = olds.pop(key, None) or olds.pop(gone.get(_settled(key), key), None)
        if change := _change(old, new, mutable):
            found.append(change)
    found += [
        Change(
            before=_masked(old),
            after={},
            fields=(),
            verdict=Verdict.DELETED,
            protected=old.protect,
        )
        for old in olds.values()
    ]
    order = list(Verdict)
    return sorted(found, key=lambda each: (order.index(each.verdict), each.kind, each.name))


def fields(before: Any, after: Any, path: str = "") -> Iterator[Field]:  # noqa: ANN401 - of JSON
    """Every value that differs; items of lists by their names, where they have some."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys()):
            below = f"{path}.{key}".lstrip(".") if _STEP.fullmatch(key) else f"{path}[{key}]"
            yield from fields(before.get(key), after.get(key), below)
    elif isinstance(before, list) and isinstance(after, list):
        olds, news = _items(before, after)
        for key in dict.fromkeys([*olds, *news]):
            yield from fields(olds.get(key), news.get(key), f"{path}[{key}]")
        if olds.keys() == news.keys() and [*olds] != [*news]:
            yield Field(path=path, before=[*olds], after=[*news])
    elif before != after or type(before) is not type(after):
        yield Field(path=path, before=before, after=after)


def short_name(kind: str, name: str) -> str:
    """A name without the digest of a Job."""
    return _JOB_DIGEST.sub("", name) if kind == "Job" else name


def _change(
    old: RenderedObject | None, new: RenderedObject, mutable: frozenset[str]
) -> Change | None:
    after = _masked(new)
    if old is None:
        return Change(before={}, after=after, fields=(), verdict=Verdict.CREATED)
    before = _masked(old)
    found = tuple(fields(before, after))
    if not found:
        return None
    left = tuple(each.path for each in found if _is_below(each.path, new.ignored))
    acted_upon = [each.path for each in found if each.path not in left]
    replaced_for = tuple(
        path for path in acted_upon if _is_below(path, replacing(new.manifest, mutable))
    )
    return Change(
        before=before,
        after=after,
        fields=found,
        verdict=_verdict(new.kind, acted_upon, replaced_for),
        replaced_for=replaced_for,
        left=left,
        protected=old.protect,
    )


def _verdict(kind: str, acted_upon: Sequence[str], replaced_for: Sequence[str]) -> Verdict:
    if not acted_upon:
        return Verdict.LEFT
    if replaced_for:
        return Verdict.AGAIN if kind == "Job" else Verdict.REPLACED
    if kind != "Job" and any(path.startswith(_POD_TEMPLATE) for path in acted_upon):
        return Verdict.ROLLED
    return Verdict.CHANGED


def _is_below(path: str, others: Sequence[str]) -> bool:
    return any(path == other or path.startswith((f"{other}.", f"{other}[")) for other in others)


def _key(each: RenderedObject) -> tuple[str, str, str, str]:
    group = str(each.manifest["apiVersion"]).rpartition("/")[0]
    namespace = str(each.manifest["metadata"].get("namespace", ""))
    return group, each.kind, namespace, each.name


def _settled(key: tuple[str, str, str, str]) -> tuple[str, str, str]:
    """What an object is by, when its namespace, or the digest of a Job, is another."""
    group, kind, _, name = key
    return group, kind, short_name(kind, name)


def _items(before: list[Any], after: list[Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """The items of two lists by what tells them apart in both; else by their place."""
    for key in _KEYS:
        names = [
            [each.get(key) if isinstance(each, Mapping) else None for each in side]
            for side in (before, after)
        ]
        if all(None not in found and len(set(map(str, found))) == len(found) for found in names):
            olds, news = (
                dict(zip(map(str, found), side, strict=True))
                for found, side in zip(names, (before, after), strict=True)
            )
            return olds, news
    return dict(enumerate(before)), dict(enumerate(after))


def _masked(each: RenderedObject) -> Manifest:
    """A manifest in which nothing is secret: all data of a Secret, and what was marked so."""
    paths = set(each.secrets)
    if each.kind == "Secret":
        for data in ("data", "stringData"):
            paths |= {f"{data}.{key}" for key in each.manifest.get(data) or {}}
    masked: Manifest = _hide(each.manifest, "", paths) if paths else each.manifest
    return masked


def _hide(given: Any, path: str, paths: set[str]) -> Any:  # noqa: ANN401 - any of JSON's
    if path in paths:
        text = json.dumps(given, sort_keys=True)
        return Hidden(digest=hashlib.sha256(text.encode()).hexdigest())
    if isinstance(given, Mapping):
        return {
            key: _hide(inner, f"{path}.{key}".lstrip("."), paths) for key, inner in given.items()
        }
    if isinstance(given, list):
        return [_hide(inner, f"{path}[{index}]", paths) for index, inner in enumerate(given)]
    return given
