"""Ctrl-C: told to everything that this process has started, and waited for.

What detached itself into a session of its own, as the supervisor did, is left alone.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PATIENCE = 15.0
"""Seconds for what was started to end by itself; the engine then has ended what it was at."""
_PR_SET_CHILD_SUBREAPER = 36


class Interrupt:
    """The first SIGINT during a block, which raises KeyboardInterrupt; later ones add nothing.

    A context manager. The signal is answered also where a shell had it ignored (`… &`).
    """

    def __init__(self) -> None:
        self._ending: threading.Thread | None = None

    def __enter__(self) -> Interrupt:
        self._before = signal.signal(signal.SIGINT, lambda *_: self._begin())
        return self

    def __exit__(self, *_: object) -> None:
        if not self.happened:
            signal.signal(signal.SIGINT, self._before)

    @property
    def happened(self) -> bool:
        """Whether it came."""
        return self._ending is not None

    def join(self) -> None:
        """Return when nothing of what was started runs any more."""
        if self._ending:
            self._ending.join()

    def _begin(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Complaints of those whose program is being ended would add nothing.
        threading.excepthook = lambda _: None
        warnings.simplefilter("ignore")
        logging.disable()
        # In a thread, because this one may be waiting for another that waits for a program.
        self._ending = threading.Thread(target=_end_all, args=(_of_terminal(),), daemon=True)
        self._ending.start()
        raise KeyboardInterrupt


def _end_all(told: bool) -> None:  # noqa: FBT001
    """End every descendant; they are `told` already when the terminal has told them."""
    import ctypes  # noqa: PLC0415 - needed by nobody else

    # Those whose parent ends first become this process's children, and are found again.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if not told:  # as the terminal would: what has a group of its own is its parent's business
        _send(signal.SIGINT, lambda pid: os.getpgid(pid) == os.getpgrp())
    end = time.monotonic() + PATIENCE
    while _descendants():
        if time.monotonic() > end:
            _send(signal.SIGKILL, lambda _: True)
        time.sleep(0.05)


def _send(how: signal.Signals, wanted: Callable[[int], bool]) -> None:
    for pid in _descendants():
        with suppress(ProcessLookupError):
            if wanted(pid):
                os.kill(pid, how)


def _descendants() -> list[int]:
    """The living ones of this session."""
    children: dict[int, list[int]] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended in between
            # After the name, which may hold anything: state, parent, group, session.
            state, parent, _, session, *_ = (
                (directory / "stat").read_text().rpartition(") ")[2].split()
            )
            if state not in "ZX" and int(session) == os.getsid(0):
                children.setdefault(int(parent), []).append(int(directory.name))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        waiting = [child for pid in waiting for child in children.get(pid, ())]
        found += waiting
    return found


def _of_terminal() -> bool:
    """Whether this process is in the group that Ctrl-C on its terminal is sent to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
