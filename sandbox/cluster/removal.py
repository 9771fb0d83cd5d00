"""Taking a sandbox away with everything it left on this machine, in whatever state it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sandbox.cluster import node
from sandbox.host import cgroups, network, probes
from sandbox.host.mounts import unmount_below
from sandbox.paths import RUNTIME_ROOT, STATE_ROOT, Sandbox

SHIM_SOCKETS = Path("/run/containerd/s")
CNI_RESULTS = Path("/var/lib/cni/results")
CONTAINER_LOGS = Path("/var/log/containers")
DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")
"""Directories that containerd, CNI and the kubelet share with others and that cannot be moved."""


def traces(sandbox: Sandbox) -> bool:
    """Whether anything of the sandbox is there."""
    return (
        sandbox.state.exists()
        or sandbox.runtime.exists()
        or _condemned(sandbox).exists()
        or bool(network.existing(sandbox))
        or any((root / sandbox.cgroup).exists() for root in cgroups.hierarchies())
    )


def remove(sandbox: Sandbox) -> None:
    """Remove processes, mounts, namespaces, control groups and files.

    Interrupted, it can be run again. Raises SandboxError when a process cannot be ended or a
    mount cannot be undone; nothing that is mounted is ever deleted.
    """
    # All at once and without grace: nobody will read what they might still write.
    cgroups.kill(sandbox.cgroup)
    unmount_below(sandbox.runtime)
    unmount_below(sandbox.state)
    network.remove(sandbox)
    cgroups.remove(sandbox.cgroup)
    node.remove_shim_sockets(sandbox)
    for trace in _shared_traces(sandbox):
        trace.unlink(missing_ok=True)
    if sandbox.state.exists():
        # At once: an `up` after an interrupted `down` must not find half of it.
        _delete(_condemned(sandbox))
        sandbox.state.rename(_condemned(sandbox))
    _delete(sandbox.runtime)
    _delete(_condemned(sandbox))


def remove_empty_roots() -> None:
    """Remove what all sandboxes share once the last is gone."""
    device_socket = DEVICE_PLUGINS / "kubelet.sock"  # the last kubelet's that started
    if device_socket.exists() and not probes.answers(f"unix://{device_socket}", None):
        device_socket.unlink()
    for directory in (
        STATE_ROOT,
        RUNTIME_ROOT,
        SHIM_SOCKETS,
        SHIM_SOCKETS.parent,
        CNI_RESULTS,
        CNI_RESULTS.parent,
        CONTAINER_LOGS,
        DEVICE_PLUGINS,
        DEVICE_PLUGINS.parent,
    ):
        with suppress(OSError):  # not empty, or never there
            directory.rmdir()


def _condemned(sandbox: Sandbox) -> Path:
    return STATE_ROOT / f".{sandbox.name}.removing"


def _delete(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)


def _shared_traces(sandbox: Sandbox) -> Iterator[Path]:
    """The sandbox's files in directories that it shares with others."""
    for result in CNI_RESULTS.glob("*"):
        with suppress(FileNotFoundError):  # those of others come and go
            if f'"{sandbox.runtime}/' in result.read_text():  # the path of a pod's namespace
                yield result
    for link in CONTAINER_LOGS.glob("*.log"):
        with suppress(FileNotFoundError):
            if link.is_symlink() and sandbox.state in link.readlink().parents:
                yield link
