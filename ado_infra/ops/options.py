"""What the commands of every store take, and how they show what they found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

WIDTH: Final = 120
"""Columns of tables where no terminal says how many it has."""
TROUBLE: Final = 3
"""Exit code of `status` when something is not as it should be."""

Stack = Annotated[
    str, typer.Option("--stack", "-s", help="Which Pulumi.<stack>.yaml.", envvar="ADO_STACK")
]
Context = Annotated[
    str | None, typer.Option("--context", help="Another context than the stack names.")
]
In = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Another namespace than the stack names.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]


def show(table: Table, findings: Sequence[str]) -> None:
    """Prints what `status` found.

    Raises typer.Exit when there is something to do.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(table)
    finish(findings)


def finish(findings: Sequence[str]) -> None:
    """Prints what is to be done.

    Raises typer.Exit when there is something.
    """
    for line in findings:
        say(f"- {line}")
    if findings:
        raise typer.Exit(TROUBLE)


def plan(*steps: str) -> None:
    """Prints what `--dry-run` would not do."""
    for number, step in enumerate(steps, 1):
        say(f"{number}. {step}")
    if not steps:
        say("There is nothing to do.")


def say(line: str) -> None:
    """Prints a line at once, also where nobody sits at a terminal."""
    print(line, flush=True)
