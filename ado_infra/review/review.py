"""Every stack of a project, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ado_infra.render.stack_file import stacks
from ado_infra.review.comparison import Comparison, compared
from ado_infra.review.errors import ReviewError
from ado_infra.review.preview import read_preview
from ado_infra.review.revision import taken_out, there
from ado_infra.review.side import here


def reviewed(
    project: Path, ref: str, only: Sequence[str], previews: Sequence[Path]
) -> tuple[list[Comparison], str, bool]:
    """Each stack on both sides; the commit that was compared with, and whether it is common.

    Raises ReviewError when there is nothing to compare with, or a preview is none.
    """
    engine = {each.stack: each for each in map(read_preview, previews)}
    now = set(stacks(project))
    with taken_out(project, ref) as base:
        then = set(stacks(base.project))
        known = sorted(now | then)
        if not known:
            raise ReviewError(f"There is no Pulumi.<stack>.yaml in {project}, nor was there one.")
        if unknown := [stack for stack in (*only, *engine) if stack not in known]:
            there_are = ", ".join(known) or "none"
            raise ReviewError(f"There is no stack {unknown[0]!r} on either side ({there_are}).")
        wanted = [stack for stack in known if not only or stack in only]
        before = there(base, [stack for stack in wanted if stack in then])
        after = {stack: here(project, stack) for stack in wanted if stack in now}
        found = [
            compared(stack, before.get(stack), after.get(stack), engine.get(stack))
            for stack in wanted
        ]
        return found, base.commit, base.common
