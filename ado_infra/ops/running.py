"""How the command line runs: a mistake is a message, and Ctrl-C a line."""

from __future__ import annotations

import sys
from typing import Any, Final, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells have it."""


class _Commands(TyperGroup):
    """Ends in one line at Ctrl-C, which typer itself would take without a word."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer's own has no public type
        """As typer's own."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stopped:
            why = f": {stopped}" if str(stopped) else ""
            print(f"Interrupted{why}.", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None


def command_line(about: str) -> typer.Typer:
    """A command line that commands can be added to."""
    return typer.Typer(
        cls=_Commands, help=about, no_args_is_help=True, pretty_exceptions_enable=False
    )


def refuse(message: str) -> NoReturn:
    """Prints what an operator can act on, and ends with exit code 1."""
    Console(stderr=True, soft_wrap=True).print(message, style="red", markup=False, highlight=False)
    sys.exit(1)
