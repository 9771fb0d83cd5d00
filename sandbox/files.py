"""Writing files whole or not at all, and one writer at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path


def write(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Replace a file's content at once; nobody ever sees half of it, nor a wider mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(data)
    partial.replace(path)


@contextmanager
def locked(path: Path, waiting: Callable[[str], None] = lambda _: None) -> Generator[Path]:
    """Hold an exclusive lock on a file during the block, which may delete the file.

    `waiting` is called once when somebody else holds it, with the command and pid that do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                waiting(handle.read() or "another command")
                fcntl.flock(handle, fcntl.LOCK_EX)
            # Its last holder may have deleted the file: then this lock keeps nobody out.
            if _inode(path) == os.fstat(handle.fileno()).st_ino:
                handle.truncate(0)
                handle.write(f"`{_command()}` (pid {os.getpid()})")
                handle.flush()
                try:
                    yield path
                finally:
                    handle.truncate(0)  # who waits must not hear of one that has ended
                return


def made_once(directory: Path, make: Callable[[Path], None]) -> Path:
    """A directory that `make` fills under another name when it is not there yet.

    One process at a time; whoever waited for it meanwhile finds what the other one has made.
    """
    if not directory.exists():
        with locked(directory.with_name(f"{directory.name}.lock")):
            if not directory.exists():
                partial = directory.with_name(f"{directory.name}.partial")
                shutil.rmtree(partial, ignore_errors=True)  # an interrupted one's
                partial.mkdir()
                make(partial)
                partial.rename(directory)  # whole or not at all
    return directory


def say_waiting(holder: str) -> None:
    """Tells whom a lock is waited for."""
    print(f"Waiting for {holder} to end.", file=sys.stderr)  # stdout may be JSON


def holder(path: Path) -> str:
    """The command and pid that hold a lock at this moment; empty when nobody does."""
    with suppress(FileNotFoundError), path.open() as handle:
        try:
            # Shared, and given back at once: nobody is kept out by who only asks.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return handle.read() or "another command"
    return ""


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _command() -> str:
    """How this process was called, without the interpreter."""
    words = sys.orig_argv
    return " ".join(words[words.index("-m") + 1 :] if "-m" in words else sys.argv)
