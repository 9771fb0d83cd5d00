"""The exceptions of the sandbox, and how a command line ends with it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from sandbox.interrupt import Interrupt


class SandboxError(Exception):
    """Something the user can act on; printed as its message alone."""

    exit_code = 1


class NotReadyError(SandboxError):
    """What was asked about, or is needed, does not run as it should."""

    exit_code = 3


def run(command: Callable[[], object]) -> None:
    """Run a command line; a user's mistake is a message and an exit code, never a traceback.

    So is what the machine refuses: a directory that cannot be written, a disk that is full.

    Where nobody reads what it prints (`| head`) it ends in silence, as by SIGPIPE; after Ctrl-C in
    one line, with exit code 130 and nothing left of what it has started.
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
    with Interrupt() as interrupt:
        try:
            command()
        except (SandboxError, OSError) as error:
            if isinstance(error, BrokenPipeError) and not interrupt.happened:
                raise
            if not interrupt.happened:
                _print(_said(error))
                sys.exit(error.exit_code if isinstance(error, SandboxError) else 1)
        except BaseException:
            if not interrupt.happened:  # else it is how the end of a program was noticed
                raise
        if interrupt.happened:
            print("Interrupted; the same command goes on from here.", file=sys.stderr, flush=True)
            interrupt.join()
            with suppress(BrokenPipeError):
                sys.stdout.flush()
            # Not sys.exit, which waits for threads: one may be about to start a program.
            os._exit(128 + signal.SIGINT)


def _said(error: SandboxError | OSError) -> str:
    """The message; of what the machine refuses, the path and the reason."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)


def _print(message: str) -> None:
    from rich.console import Console  # noqa: PLC0415 - loaded by those that print anyway

    Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
