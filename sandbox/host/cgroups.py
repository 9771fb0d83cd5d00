"""Control groups: how the sandbox's processes are found again, whoever started them.

Below `ado-sandbox/<name>` in every hierarchy: `supervisor`, `control-plane`, and per node
`n1/daemons` and the pods' groups that the kubelet makes (`n1/kubepods`). Processes are in leaves
only, as version 2 demands; version 1 has a hierarchy for each controller, version 2 just one.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.host.mounts import mounts

BURIAL = 2.0
"""Seconds; some machines' first process never buries, then zombies stay whatever we do."""


@cache
def hierarchies() -> list[Path]:
    """Where the kernel's cgroup hierarchies are mounted; several with version 1."""
    return [m.target for m in mounts() if m.kind in {"cgroup", "cgroup2"}]


def create(group: str) -> None:
    """Make a group and its parents in every hierarchy."""
    for root in hierarchies():
        directory = root
        for part in Path(group).parts:
            _delegate(directory)
            directory /= part
            directory.mkdir(exist_ok=True)
            _fill_cpuset(directory)


def join(group: str, pid: int) -> None:
    """Move a process, with what it will start from now on, into an existing group.

    One that has ended meanwhile is no error.
    """
    for root in hierarchies():
        with suppress(ProcessLookupError):
            (root / group / "cgroup.procs").write_text(str(pid))


def processes(group: str) -> set[int]:
    """Every process in the group and below, in any hierarchy."""
    found: set[int] = set()
    for root in hierarchies():
        for directory, _, _ in os.walk(root / group):
            with suppress(OSError):  # a group that went away while we looked
                found.update(map(int, Path(directory, "cgroup.procs").read_text().split()))
    return found


def kill(group: str, deadline: float = 30, spare: Callable[[int], bool] = lambda _: False) -> None:
    """End every process in the group and below, but those that `spare` says; wait until gone.

    Raises SandboxError naming the processes that are left after `deadline` seconds.
    """
    end = time.monotonic() + deadline
    killed: set[int] = set()
    while left := {pid for pid in processes(group) if not spare(pid)}:
        killed |= left
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > end:
            names = ", ".join(f"{pid} ({command_name(pid)})" for pid in sorted(left))
            raise SandboxError(f"These processes of the sandbox cannot be ended: {names}.")
        time.sleep(0.02)  # the kernel tells nobody when a group of version 1 is empty
    # All dead; whoever adopted them gets a moment to bury them, so that no zombie is seen.
    end = time.monotonic() + BURIAL
    while any(Path(f"/proc/{pid}").exists() for pid in killed) and time.monotonic() < end:
        time.sleep(0.02)


def remove(group: str) -> None:
    """Remove a group without processes and everything below it, in every hierarchy."""
    for root in hierarchies():
        for directory, _, _ in os.walk(root / group, topdown=False):
            _remove_directory(Path(directory))
        with suppress(OSError):  # the common parent stays while another sandbox has a group there
            (root / group).parent.rmdir()


def command_name(pid: int) -> str:
    """The kernel's name of a process, "gone" when it ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "gone"


def _remove_directory(directory: Path, deadline: float = 5) -> None:
    """A group whose last process was just reaped may be busy for some milliseconds more."""
    end = time.monotonic() + deadline
    while True:
        try:
            directory.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if time.monotonic() > end:
                raise SandboxError(f"{directory} cannot be removed: {error.strerror}.") from None
            time.sleep(0.02)
        else:
            return


def _delegate(directory: Path) -> None:
    """Version 2: let the children of a group use every controller it has itself."""
    available = directory / "cgroup.controllers"
    if available.exists():
        for controller in available.read_text().split():
            with suppress(OSError):  # some cannot be handed down (cpu with real-time processes)
                (directory / "cgroup.subtree_control").write_text(f"+{controller}")


def _fill_cpuset(directory: Path) -> None:
    """Version 1: a new cpuset is empty and takes no process until it is filled."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        own = directory / name
        if own.exists() and not own.read_text().strip():
            inherited = (directory.parent / name).read_text()
            if inherited.strip():  # version 2 leaves it empty and means "all"
                own.write_text(inherited)
