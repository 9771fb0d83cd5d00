"""What is mounted on this machine, and how to get rid of it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from sandbox.errors import SandboxError


class Mount(NamedTuple):
    """One line of /proc/self/mountinfo."""

    target: Path
    kind: str


def mounts() -> list[Mount]:
    """Everything mounted, in the order in which it was mounted."""
    return [_parse(line) for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def mounts_below(directory: Path) -> list[Path]:
    """What is mounted inside a directory, innermost last."""
    return [m.target for m in mounts() if directory in m.target.parents]


def unmount_below(directory: Path) -> None:
    """Unmount everything inside a directory.

    Raises SandboxError when something stays: deleting the directory would then delete what is
    mounted there.
    """
    targets = mounts_below(directory)
    if targets:
        subprocess.run(["umount", "--lazy", *reversed(targets)], capture_output=True, check=False)
    left = mounts_below(directory)
    if left:
        raise SandboxError(
            f"{len(left)} mounts below {directory} cannot be undone, the first is {left[0]}: "
            "nothing there was deleted. Unmount them and run the same command again."
        )


def _parse(line: str) -> Mount:
    # id parent device root target options [optional fields] - kind source options
    before, _, after = line.partition(" - ")
    target = before.split(" ")[4].encode().decode("unicode_escape")  # \040 is a blank
    return Mount(Path(target), after.split(" ")[0])
