"""The parts of a report that the engine's own preview adds, as lines of Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ado_infra.review.comparison import Comparison
from ado_infra.review.escaping import code, message
from ado_infra.review.markdown import folded, left_out, some, table
from ado_infra.review.preview import Step


def errors(each: Comparison) -> Iterator[str]:
    """That it fails, and why."""
    if said := _said(each, "error"):
        yield from (f"- **the engine's preview fails**: {line}" for line in said)
        yield ""


def beside(each: Comparison, rows: int) -> Iterator[str]:
    """What it would do beside this branch, and what of this branch it leaves."""
    if each.beside:
        yield (
            "**By the engine's preview also**, and not by the files of this branch: secrets, "
            "drift, or what waits to be deployed"
        )
        yield ""
        yield from _steps(each.beside, rows)
    if each.done:
        names = some([code(change.title) for change in each.done])
        yield f"The engine would leave what this branch changes of {names}: deployed already?"
        yield ""


def folds(each: Comparison, rows: int) -> Iterator[str]:
    """All that it has, where that is more than what stands in the open, and its warnings."""
    if each.preview and len(each.preview.steps) > len(each.beside):
        steps = each.preview.steps
        title = f"{each.stack}: all that the engine's preview has ({len(steps)})"
        yield from folded(title, _steps(steps, rows))
    if warnings := _said(each, "warning"):
        title = f"{each.stack}: what the engine warns of ({len(warnings)})"
        lines = [f"- {line}" for line in warnings[:rows]]
        yield from folded(title, [*lines, *left_out(len(warnings), rows, "- "), ""])


def _said(each: Comparison, severity: str) -> list[str]:
    """The first line of each message that is so grave."""
    said = each.preview.said if each.preview else ()
    told = [text.strip().partition("\n")[0] for grave, text in said if grave == severity]
    return [message(line) for line in dict.fromkeys(told)]


def _steps(steps: Sequence[Step], rows: int) -> Iterator[str]:
    told = ((code(s.title), _word(s), _paths(s, rows)) for s in steps)
    return table(("resource", "", "what differs"), told, rows)


def _word(step: Step) -> str:
    return f"{step.word}, pods roll" if step.rolls else step.word


def _paths(step: Step, rows: int) -> str:
    told = [code(path) for path in step.paths[:rows]]
    return "<br>".join([*told, *left_out(len(step.paths), rows, "")])
