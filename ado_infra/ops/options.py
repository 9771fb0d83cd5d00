"""What the commands of every store take, and how they show what they found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NAMESPACE: Final = "ado-system"
"""The default of `ado:namespace.name`."""
WIDTH: Final = 120
"""Columns of tables where no terminal says how many it has."""
TROUBLE: Final = 3
"""Exit code of `status` when something is not as it should be."""
WELL: Final = "All is well: there is nothing to do."
"""What `status` ends with otherwise."""
CHECKED: Final = 1
"""The same with `--check`."""


def _stacks() -> list[str]:
    """For the shell, which completes the name of a stack."""
    from ado_infra.render.stack_file import stacks  # noqa: PLC0415 - only the shell asks

    return stacks(Path.cwd())


Stack = Annotated[
    str,
    typer.Option(
        "--stack",
        "-s",
        help="Which Pulumi.<stack>.yaml; also as organisation/project/stack.",
        envvar="ADO_STACK",
        autocompletion=_stacks,
    ),
]
Context = Annotated[
    str | None, typer.Option("--context", help="Another context than the stack names.")
]
In = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Another namespace than the stack names.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]
Json = Annotated[bool, typer.Option("--json", help="For programs: docs/status.md has the shape.")]
Check = Annotated[
    bool,
    typer.Option("--check", help="Print only what is wrong; exit code 1 if there is anything."),
]


def console() -> Console:
    """Where tables are printed."""
    from rich.console import Console  # noqa: PLC0415 - takes longer to load than a command to run

    found = Console(highlight=False)
    if not found.is_terminal:
        found.width = WIDTH
    return found


def show(
    table: Table,
    findings: Sequence[str],
    data: Mapping[str, Any] | None = None,
    *,
    as_json: bool = False,
    check: bool = False,
) -> None:
    """Prints what `status` found: the table, or with `as_json` `data` and the findings.

    Raises typer.Exit when there is something to do.
    """
    if as_json:
        say_json(findings, data or {})
    elif not check:
        console().print(table)
        if not findings:
            say(WELL)
    finish(findings, quiet=as_json, code=CHECKED if check else TROUBLE)


def say_json(findings: Sequence[str], data: Mapping[str, Any]) -> None:
    """Prints what `status` found, for programs."""
    about = {"ready": not findings, "findings": list(findings)}
    text = json.dumps(about | dict(data), indent=2, default=datetime.isoformat, ensure_ascii=False)
    say(text)


def finish(findings: Sequence[str], *, quiet: bool = False, code: int = TROUBLE) -> None:
    """Prints what is to be done, unless `quiet`.

    Raises typer.Exit when there is something.
    """
    for line in () if quiet else findings:
        say(f"- {line}")
    if findings:
        raise typer.Exit(code)


def plan(*steps: str) -> None:
    """Prints what `--dry-run` would not do."""
    for number, step in enumerate(steps, 1):
        say(f"{number}. {step}")
    if not steps:
        say("There is nothing to do.")


def say(line: str) -> None:
    """Prints a line at once, also where nobody sits at a terminal."""
    print(line, flush=True)
