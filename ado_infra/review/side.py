"""A stack on one side of a comparison: its objects and what its file says.

What is rendered in another process comes as JSON (`dumped`, `loaded`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ado_infra.render.errors import RenderError
from ado_infra.render.objects import RenderedObject
from ado_infra.render.rendering import render
from ado_infra.render.stack_file import StackFile, read_stack

_PRODUCTION: Final = "production"
_POLICIES: Final = "ado:policies"
"""Where a stack says, below `waived`, which policy it does without: name → reason."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A stack on one side.

    Attributes:
        objects: What it is made of.
        config: Key with its namespace → its value as a program is given it.
        encrypted: Key of what holds encrypted values → a digest of them as they are written.
        problem: Why there are no objects to compare; empty when there are.
    """

    objects: Sequence[RenderedObject] = ()
    config: Mapping[str, str] = field(default_factory=dict)
    encrypted: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def is_production(self) -> bool:
        """Whether more is demanded of it."""
        return self.config.get("ado:profile") == _PRODUCTION

    @property
    def waivers(self) -> Mapping[str, str]:
        """Name of a policy that the stack does without → the reason."""
        try:
            given = json.loads(self.config.get(_POLICIES, "{}"))["waived"]
        except (KeyError, TypeError, ValueError):  # none, or the program refuses it by itself
            return {}
        return (
            {str(name): str(why) for name, why in given.items()} if isinstance(given, dict) else {}
        )


def here(project: Path, stack: str) -> Side:
    """A stack as the code of this process renders it."""
    try:
        file = read_stack(project, stack)
    except RenderError as unreadable:
        return Side(problem=str(unreadable))
    return side(file, **_rendered(project, stack))


def side(file: StackFile, *, objects: Sequence[RenderedObject] = (), problem: str = "") -> Side:
    """A stack whose file was read, and rendered by whatever code."""
    return Side(objects=objects, config=file.config, encrypted=file.encrypted, problem=problem)


def loaded(told: Mapping[str, Any]) -> dict[str, Any]:
    """What `telling.py` says of a stack, as arguments of `side`."""
    objects = [
        RenderedObject(
            manifest=each["manifest"],
            wave=0,
            ignored=tuple(each["ignored"]),
            protect=bool(each["protect"]),
            secrets=tuple(each["secrets"]),
        )
        for each in told.get("objects", ())
    ]
    return {"objects": objects, "problem": str(told.get("problem", ""))}


def _rendered(project: Path, stack: str) -> dict[str, Any]:
    try:
        return {"objects": render(project, stack).objects}
    except RenderError as refused:
        return {"problem": str(refused)}
    except Exception as failed:  # noqa: BLE001 - any that a program of somebody else's can end with
        return {"problem": f"the program ends with {type(failed).__name__}"}
