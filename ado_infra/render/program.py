"""Runs a stack's program in this process, without an engine."""

from __future__ import annotations

import asyncio
import logging
import os
import runpy
import sys
from collections.abc import Generator
from contextlib import chdir, contextmanager, redirect_stdout
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi

from ado_infra.render.errors import RenderError
from ado_infra.render.monitor import Monitor, Registration
from ado_infra.render.stack_file import StackFile
from ado_infra.stack import missing_secrets

_CONFIG: Final = "PULUMI_CONFIG"
"""How the variables begin that the SDK would take config from."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What came of a program.

    Attributes:
        registrations: What it registered, in no certain order.
        warnings: What it warned of.
        missing: Keys of secrets that the stack has to give and does not.
    """

    registrations: tuple[Registration, ...]
    warnings: tuple[str, ...]
    missing: tuple[str, ...]


def run(stack: StackFile) -> Program:
    """Runs the program of a stack, with placeholders for secrets that it lacks.

    What it prints goes to stderr. Raises RenderError with the program's own message where that
    refuses the settings.
    """
    if not any(path.is_file() for path in (stack.program, stack.program / "__main__.py")):
        raise RenderError(f"There is no program {stack.program}.")
    with _event_loop(), _without_config_of_environment():
        return copy_context().run(_run, stack)


def _run(stack: StackFile) -> Program:
    pulumi.runtime.set_all_config(dict(stack.config), list(stack.secrets))
    missing = [f"ado:{secret}" for secret in missing_secrets()]
    stack = stack.with_placeholders(*missing)
    pulumi.runtime.set_all_config(dict(stack.config), list(stack.secrets))
    monitor, warnings = Monitor(), _Warnings()
    pulumi.runtime.set_mocks(
        monitor.provider,
        project=stack.project,
        stack=stack.stack,
        preview=False,
        logger=warnings.logger,
        monitor=monitor,
    )
    try:
        pulumi.runtime.test(lambda: _execute(stack.program))()
    except pulumi.RunError as refused:
        raise RenderError(str(refused)) from None
    return Program(
        registrations=tuple(monitor.registrations()),
        warnings=tuple(sorted(warnings.messages)),
        missing=tuple(missing),
    )


def _execute(program: Path) -> None:
    """As the engine's own way to start one: in its directory, whose modules it can import."""
    home = program if program.is_dir() else program.parent
    argv, path = sys.argv, list(sys.path)
    sys.argv = [str(program)]
    sys.path.insert(0, str(home))
    try:
        with chdir(home), redirect_stdout(sys.stderr):
            runpy.run_path(str(program), run_name="__main__")
    finally:
        sys.argv, sys.path[:] = argv, path


@contextmanager
def _event_loop() -> Generator[None]:
    """One of its own, with one thread for what is registered."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


@contextmanager
def _without_config_of_environment() -> Generator[None]:
    """The stack file alone says what there is, and whatever else is set may be a real secret."""
    hidden = {name: value for name, value in os.environ.items() if name.startswith(_CONFIG)}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


class _Warnings(logging.Handler):
    """Keeps what a program warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self.logger = logging.Logger("program")
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one."""
        self.messages.append(record.getMessage())
