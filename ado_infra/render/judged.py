"""A stack held against the policies, with its own profile and what it waives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from ado_infra.policies import Judgement, judge
from ado_infra.render.errors import RenderError
from ado_infra.render.objects import RenderedObject
from ado_infra.render.rendering import render
from ado_infra.render.stack_file import read_stack
from ado_infra.settings import PolicySettings, Profile


def judged(project: Path, stack: str) -> Judgement:
    """What the policies say of a stack of the project whose directory has the `Pulumi.yaml`.

    Raises RenderError as `render` does.
    """
    objects = render(project, stack).objects  # first: it refuses wrong settings in full
    return judged_objects(stack, read_stack(project, stack).config, objects)


def judged_objects(
    stack: str, config: Mapping[str, str], objects: Sequence[RenderedObject]
) -> Judgement:
    """The same of objects that are there already.

    `config`: key with its namespace → its value as a program is given it. Raises RenderError where
    what it waives is no waiver; only a program that does not read its settings lets that pass.
    """
    given = config.get("ado:policies") or "{}"
    try:
        waived = PolicySettings.model_validate_json(given, by_name=False).waived
    except ValidationError as invalid:
        said = "; ".join(each["msg"] for each in invalid.errors(include_input=False))
        raise RenderError(f"ado:policies of {stack} is wrong: {said}") from None
    return judge(
        objects,
        production=config.get("ado:profile") == Profile.PRODUCTION,
        excused={str(policy): reason for policy, reason in waived.items()},
    )
