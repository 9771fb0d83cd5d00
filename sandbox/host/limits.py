"""A limit of the kernel's that is raised while there are sandboxes, and put back after the last.

Every node needs 8 inotify instances and every control plane 8 more, and a distribution's usual
128 are all that root has: two sandboxes of seven nodes use them up, and a kubelet without one
does not start.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from sandbox.files import write
from sandbox.paths import RUNTIME_ROOT

INSTANCES: Final = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH: Final = 1024


def lift(limit: Path = INSTANCES, runtime: Path = RUNTIME_ROOT) -> None:
    """Raise the limit where it is lower than enough, and remember what it was."""
    found = limit.read_text().strip()
    if int(found) < ENOUGH:
        write(_memory(runtime), found)
        with suppress(OSError):  # not ours to change here; one small sandbox does without
            limit.write_text(str(ENOUGH))


def restore(limit: Path = INSTANCES, runtime: Path = RUNTIME_ROOT) -> None:
    """Put the limit back once no sandbox is left."""
    memory = _memory(runtime)
    if memory.exists() and list(runtime.iterdir()) == [memory]:
        with suppress(OSError):
            limit.write_text(memory.read_text())
        memory.unlink()


def _memory(runtime: Path) -> Path:
    return runtime / "inotify-instances"
