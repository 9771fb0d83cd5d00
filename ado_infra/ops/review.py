"""`ado-ops review`: what a branch changes in each stack, for whoever has to approve it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from enum import StrEnum, unique
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from ado_infra.ops.errors import OpsError
from ado_infra.ops.options import TROUBLE, say

if TYPE_CHECKING:
    from ado_infra.review.comparison import Comparison


@unique
class FailOn(StrEnum):
    """What a report that was made can still fail for."""

    POLICY = "policy"


def review(
    base: Annotated[
        str, typer.Option("--base", help="The git revision to compare with, such as origin/main.")
    ],
    stack: Annotated[
        list[str] | None,
        typer.Option("--stack", "-s", help="Only this one; again for more. Else every stack."),
    ] = None,
    preview: Annotated[
        list[Path] | None,
        typer.Option("--preview", help="What `pulumi preview --json` printed; one file a stack."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write it to this file, not to the terminal.")
    ] = None,
    fail_on: Annotated[
        FailOn | None,
        typer.Option("--fail-on", help="End with exit code 3 where a policy is newly broken."),
    ] = None,
) -> None:
    """Write in Markdown what this branch changes in each stack; asks no cluster and no engine."""
    from ado_infra.review.errors import ReviewError  # noqa: PLC0415 - Pulumi's SDK loads slowly
    from ado_infra.review.report import Against, report  # noqa: PLC0415
    from ado_infra.review.review import reviewed  # noqa: PLC0415

    try:
        with _ends_when_terminated():
            found, commit, common = reviewed(Path.cwd(), base, stack or (), preview or ())
    except ReviewError as refused:
        raise OpsError(str(refused)) from None
    text = report(found, Against(ref=base, commit=commit, common=common))
    if out is None:
        say(text.rstrip())
    else:
        _write(out, text)
    if fail_on is FailOn.POLICY and _breaks_policy(found):
        raise typer.Exit(TROUBLE)


def _write(out: Path, text: str) -> None:
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as failed:
        raise OpsError(f"{out} cannot be written: {failed.strerror or failed}") from None
    say(f"{out}: written.")


def _breaks_policy(found: Sequence[Comparison]) -> bool:
    """Whether this branch does; also where that cannot be known."""
    return any(each.after and (each.rules is None or each.rules.new) for each in found)


@contextmanager
def _ends_when_terminated() -> Generator[None]:
    """Has SIGTERM, too, remove what was taken out of git."""
    former = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _end(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)
