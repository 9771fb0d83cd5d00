"""The one exception of the sandbox, and how a command line ends with it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable


class SandboxError(Exception):
    """Something the user can act on; printed as its message alone, exit code 1."""


def run(command: Callable[[], object]) -> None:
    """Run a command line; a user's mistake is a message and exit code 1, never a traceback.

    Where nobody reads what it prints (`| head`) it ends in silence, as by SIGPIPE.
    """
    try:
        try:
            _run(command)
        finally:
            sys.stdout.flush()  # when the interpreter does it, it is too late to be silent
    except (BrokenPipeError, SystemExit) as ended:
        # rich and typer exit by themselves when they meet a broken pipe, with code 1.
        if not any(isinstance(e, BrokenPipeError) for e in (ended, ended.__context__)):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)


def _run(command: Callable[[], object]) -> None:
    try:
        command()
    except SandboxError as error:
        from rich.console import Console  # noqa: PLC0415 - loaded by those that print anyway

        Console(stderr=True).print(
            str(error), style="red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(1)
    except KeyboardInterrupt:
        # What is still running is being told to stop: its complaints, and further Ctrl-C, add
        # nothing.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.excepthook = lambda _: None
        print("Interrupted; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)
