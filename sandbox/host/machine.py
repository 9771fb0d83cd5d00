"""What this machine must offer before anything is started."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.host import cgroups


def require_root() -> None:
    """Raise SandboxError unless this process may make namespaces, mounts and control groups."""
    if os.geteuid() != 0:
        raise SandboxError(
            "The sandbox needs root: it makes network namespaces, mounts and control groups. "
            "Run the same command with sudo, or as root."
        )


def require_kernel() -> None:
    """Raise SandboxError naming every kernel feature that is missing."""
    missing = []
    if not Path("/proc/self/ns/net").exists():
        missing.append("network namespaces (CONFIG_NET_NS)")
    if not cgroups.hierarchies():
        missing.append("control groups mounted below /sys/fs/cgroup")
    if not _knows_overlay():
        missing.append("the overlay file system (CONFIG_OVERLAY_FS)")
    if missing:
        raise SandboxError("This machine's kernel lacks: " + "; ".join(missing) + ".")


def boot_id() -> str:
    """Different after every boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _knows_overlay() -> bool:
    kinds = Path("/proc/filesystems")
    if "\toverlay\n" not in kinds.read_text():
        subprocess.run(["modprobe", "overlay"], capture_output=True, check=False)
    return "\toverlay\n" in kinds.read_text()
