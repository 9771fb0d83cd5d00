"""The engine's own preview, as `pulumi preview --json` prints it.

It compares what is deployed with this branch, so it also shows what was merged and is not deployed
yet, with `--refresh` what drifted; and secrets, of which it says that they change and no more. Of
values nothing is taken from it. What breaks a policy pack is not in it: the engine leaves that out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ado_infra.review.alarms import Alarm, Gravity, holds_data
from ado_infra.review.errors import ReviewError

_LARGEST: Final = 200_000_000
_REPLACED: Final = ("replace", "create-replacement", "delete-replaced", "import-replacement")
_WORDS: Final = {
    "replace": "replaced",
    "delete": "deleted",
    "update": "changed",
    "create": "new",
    "import": "imported",
}
"""Operation → what is told, the gravest first; to discard is to forget what was only read."""
_MADE_AGAIN: Final = "missing, made again"
_ORDER: Final = ("replaced", "deleted", _MADE_AGAIN, "changed", "new", "imported")
"""The gravest first."""
_KNOWN: Final = ("refresh", "delete")
"""What is made although a refresh has looked for it was missing."""
_RENAMED: Final = "its name within the program (URN)"
_GENERATED: Final = ("random:", "tls:")
_QUIET: Final = ("pulumi:", "kubernetes:batch/v1:Job")
"""Of these one goes whenever another one comes."""
_TEMPLATE: Final = "spec.template."


@dataclass(frozen=True, kw_only=True)
class Step:
    """What the engine would do to a resource.

    Attributes:
        word: `new`, `changed`, `replaced`, `deleted`, `imported`, or `missing, made again`.
        title: `Kind/name` of an object, `Type/name` of anything else.
        type: Its type, such as `kubernetes:core/v1:Secret`.
        inputs: What it is made from, or was.
        paths: What differs in it.
        replaced_for: Paths for whose sake it is replaced, or that it has another URN.
    """

    word: str
    title: str
    type: str
    inputs: Mapping[str, Any]
    paths: Sequence[str]
    replaced_for: Sequence[str]

    @property
    def rolls(self) -> bool:
        """Whether pods are replaced."""
        return self.word == "changed" and any(path.startswith(_TEMPLATE) for path in self.paths)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What the engine would do to a stack.

    Attributes:
        stack: Which one.
        steps: What it would do, the gravest first, without what it leaves.
        said: Its warnings and errors, with how grave each is.
    """

    stack: str
    steps: Sequence[Step]
    said: Sequence[tuple[str, str]]

    @property
    def failed(self) -> bool:
        """Whether the engine says that it cannot."""
        return any(severity == "error" for severity, _ in self.said)

    def alarms(self) -> Iterator[Alarm]:
        """What goes, what is generated anew, and StatefulSets that restart."""
        for each in self.steps:
            if each.rolls and each.type.endswith(":StatefulSet"):
                words = "restarts its pods one by one, by the engine's preview"
                yield Alarm(gravity=Gravity.RESTARTS, subject=each.title, words=words)
            if each.word not in {"replaced", "deleted"} or each.type.startswith(_QUIET):
                continue
            gravity = Gravity.GOES
            follows = ""
            if each.type.startswith(_GENERATED):
                gravity, follows = Gravity.DATA, ": a secret that was generated is another one"
            elif "kind" in each.inputs and holds_data({"spec": {}, **each.inputs}):
                gravity = Gravity.DATA
            yield Alarm(
                gravity=gravity,
                subject=each.title,
                words=f"is {each.word}, by the engine's preview{follows}",
                paths=tuple(each.replaced_for),
            )


def read_preview(file: Path) -> Preview:
    """What a file holds; raises ReviewError where that is no preview of a stack."""
    try:
        if file.stat().st_size > _LARGEST:
            raise ReviewError(f"{file} is too large for a preview.")
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise ReviewError(
            f"{file} cannot be read as JSON; write it by `pulumi preview --json > FILE`."
        ) from None
    steps = told.get("steps") if isinstance(told, dict) else None
    if not isinstance(steps, list):
        raise ReviewError(
            f"{file} is no preview; write it by `pulumi preview --json > FILE`, without "
            "--streaming."
        )
    return preview(told, str(file))


def preview(told: Mapping[str, Any], file: str = "the preview") -> Preview:
    """The same of what was read."""
    steps = [each for each in told["steps"] if isinstance(each, Mapping)]
    urns = (str(each.get("urn", "")) for each in steps)
    stacks = {urn.split(":")[2] for urn in urns if urn.startswith("urn:pulumi:")}
    if len(stacks) != 1:
        raise ReviewError(f"{file} names no stack; its steps have no URN of one.")
    said = [
        (severity, str(each.get("message", "")).removeprefix(f"{severity}: "))
        for each in told.get("diagnostics") or ()
        if isinstance(each, Mapping) and (severity := each.get("severity")) in {"warning", "error"}
    ]
    acting = sorted(
        _renamed([*_merged(steps)]),
        key=lambda each: (_ORDER.index(each.word), not each.rolls, each.title),
    )
    return Preview(stack=stacks.pop(), steps=acting, said=said)


def _merged(steps: Sequence[Mapping[str, Any]]) -> Iterator[Step]:
    """One for each resource: to replace one takes up to three steps."""
    by_urn: dict[str, list[Mapping[str, Any]]] = {}
    for each in steps:
        by_urn.setdefault(str(each.get("urn", "")), []).append(each)
    for urn, some in by_urn.items():
        operations = {str(each.get("op", "")) for each in some}
        word = _word(operations)
        kind, _, name = urn.split("::", 2)[-1].rpartition("::")
        kind = kind.rpartition("$")[2]
        if not word or kind == "pulumi:pulumi:Stack" or any(map(_is_component, some)):
            continue
        state = next((s for each in some for s in [_state(each)] if s), {})
        yield Step(
            word=word,
            title=_title(state, kind, name),
            type=kind,
            inputs=state,
            paths=sorted({path for each in some for path in _paths(each)}),
            replaced_for=sorted(
                {str(p) for each in some for p in each.get("replaceReasons") or ()}
            ),
        )


def _renamed(steps: Sequence[Step]) -> Iterator[Step]:
    """The same where what is deleted by one URN and made by another is one that is replaced."""
    gone = {each.title: each for each in steps if each.word == "deleted"}
    made = {each.title for each in steps if each.word == "new"} & gone.keys()
    for each in steps:
        if each.title not in made:
            yield each
        elif each.word == "new":
            yield replace(each, word="replaced", replaced_for=(_RENAMED,))


def _is_component(step: Mapping[str, Any]) -> bool:
    """Whether it is no resource of any provider: what it is made of has steps of its own."""
    states = (step.get("newState"), step.get("oldState"))
    return any(isinstance(state, Mapping) and state.get("custom") is False for state in states)


def _word(operations: set[str]) -> str:
    if "create" in operations and operations & set(_KNOWN):
        return _MADE_AGAIN
    if operations & set(_REPLACED):
        return _WORDS["replace"]
    return next((word for op, word in _WORDS.items() if op in operations), "")


def _state(step: Mapping[str, Any]) -> Mapping[str, Any]:
    state = step.get("newState") or step.get("oldState") or {}
    inputs = state.get("inputs") if isinstance(state, Mapping) else None
    return inputs if isinstance(inputs, Mapping) else {}


def _title(inputs: Mapping[str, Any], kind: str, name: str) -> str:
    metadata = inputs.get("metadata")
    if "kind" in inputs and isinstance(metadata, Mapping) and "name" in metadata:
        return f"{inputs['kind']}/{metadata['name']}"
    return f"{kind.rpartition(':')[2]}/{name}"


def _paths(step: Mapping[str, Any]) -> Iterator[str]:
    detailed = step.get("detailedDiff")
    found = detailed if isinstance(detailed, Mapping) and detailed else step.get("diffReasons")
    yield from map(str, found or ())
