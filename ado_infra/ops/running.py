"""How the command line runs: loaded late, a mistake is a message, and Ctrl-C a line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells have it."""


class Late(TyperCommand):
    """A command, or a group of some, whose module is loaded when it is called.

    The client of Kubernetes takes longer to load than the list of commands to be read, and what
    the shell completes is waited for.
    """

    def __init__(self, name: str, home: str, about: str) -> None:
        super().__init__(name, help=about, rich_markup_mode=None)
        self._home = home

    def load(self) -> TyperCommand | TyperGroup:
        """The real one: of `module:attribute`, a function or a typer.Typer."""
        module, _, attribute = self._home.partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            return get_group(found)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(self.name)(found)
        loaded: Any = get_command(alone)
        return loaded

    def make_context(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - typer's own has no public type
        """As the real one's, which then is the context's command."""
        return self.load().make_context(*arguments, **options)


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


def command_line(about: str, late: Mapping[str, tuple[str, str]]) -> typer.Typer:
    """A command line of commands that are loaded late: name → where each is, and what it does."""

    class Commands(_Commands):
        def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as above
            super().__init__(**options)
            for name, (home, does) in late.items():
                self.add_command(Late(name, home, does))

    app = typer.Typer(
        cls=Commands,
        help=about,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(lambda: None)  # typer asks for a command or a callback of its own
    return app


def refuse(message: str) -> NoReturn:
    """Prints what an operator can act on, and ends with exit code 1."""
    from rich.console import Console  # noqa: PLC0415 - takes longer to load than a mistake to find

    Console(stderr=True, soft_wrap=True).print(message, style="red", markup=False, highlight=False)
    sys.exit(1)
