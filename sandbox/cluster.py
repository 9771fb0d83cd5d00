"""The embedded cluster as a whole: up, down, status, and loopback links to its Services."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from sandbox import (
    addons,
    cgroups,
    control_plane,
    images,
    kubectl,
    limits,
    machine,
    network,
    node,
    packages,
    programs,
    record,
    removal,
    tools,
)
from sandbox.errors import SandboxError
from sandbox.files import locked, write
from sandbox.mounts import unmount_below
from sandbox.paths import RUNTIME_ROOT, Sandbox
from sandbox.programs import Program, ProgramStatus, State
from sandbox.progress import step
from sandbox.record import Record

DEFAULT_NODES = 3
MODULES = (tools.ETCD, tools.KUBERNETES, tools.COREDNS, tools.METRICS_SERVER, tools.RCLONE)
API_DEADLINE, PROGRAMS_DEADLINE, NODES_DEADLINE = 120.0, 90.0, 90
"""Seconds; on two cores everything takes under fifteen."""


@dataclass(frozen=True)
class NodeStatus:
    """A node as the API server sees it."""

    name: str
    ready: bool


@dataclass(frozen=True)
class Status:
    """What runs and what does not."""

    name: str
    exists: bool
    running: bool
    """Every program is ready, and so is every node."""
    api: str | None
    kubeconfig: Path
    links: Mapping[str, int]
    """Published Services: name → port of 127.0.0.1."""
    nodes: Sequence[NodeStatus]
    programs: Sequence[ProgramStatus]


def up(sandbox: Sandbox, nodes: int | None, console: Console) -> None:
    """Start or repair; return when the API answers and every node is Ready.

    `nodes`: how many; None keeps what the sandbox has (DEFAULT_NODES for a new one). More than
    it has adds nodes, fewer is refused. Data, volumes and ports are kept.

    Raises SandboxError with what was missing and the last lines of the program to blame.
    """
    machine.require_root()
    machine.require_kernel()
    with _alone(sandbox, console):
        wanted = _plan(sandbox, nodes)
        limits.lift()
        binaries, pause = prepare(console)
        with step(console, "Control plane") as report:
            wanted = _lay_ground(sandbox, wanted)
            names = node.names(wanted.nodes)
            bare = [n for n in names if not _has_pause_image(sandbox, n).exists()]
            listed = _programs(sandbox, wanted, binaries)
            # A kubelet without the pause image would fail its first pods and back off.
            waiting = {f"{n}-kubelet" for n in bare}
            programs.apply(sandbox, [p for p in listed if p.name not in waiting])
            if bare:
                programs.wait_ready(sandbox, [f"{n}-containerd" for n in bare], 30, report)
                sockets = [sandbox.containerd_socket(n) for n in bare]
                images.load(sockets, pause, [images.PAUSE], report)
                for name in bare:
                    write(_has_pause_image(sandbox, name), "")
                programs.apply(sandbox, listed)
            programs.wait_ready(
                sandbox, ["etcd", "kube-apiserver", "link-api"], API_DEADLINE, report
            )
            addons.install(sandbox, control_plane.keys(sandbox))
        with step(console, f"{len(names)} nodes") as report:
            programs.wait_ready(sandbox, [p.name for p in listed], PROGRAMS_DEADLINE, report)
            report("waiting for nodes to be Ready")
            _wait_for_nodes(sandbox, names)


def prepare(console: Console) -> tuple[dict[str, Path], Path]:
    """The programs that every sandbox runs, by name, and the archive of its pause image.

    What is missing is installed, built and kept: minutes once, and nothing afterwards.
    """
    with step(console, "Programs") as report:
        packages.ensure(report)
        binaries = tools.ensure(MODULES, report)
        addons.monitoring_crds()
        return binaries, images.pause_archive(report)


def down(sandbox: Sandbox, console: Console) -> bool:
    """Remove every trace of the sandbox, asking nobody; return whether there was any."""
    machine.require_root()
    with _alone(sandbox, console) as lock:
        found = removal.traces(sandbox)
        if found:
            with step(console, f"Removing sandbox {sandbox.name}"):
                removal.remove(sandbox)
        lock.unlink()
    limits.restore()
    removal.remove_empty_roots()
    return found


def status(sandbox: Sandbox) -> Status:
    """What runs and what does not; asks the API server when it is up."""
    machine.require_root()
    kept = record.load(sandbox)
    running = programs.read_status(sandbox)
    links = {name: link.port for name, link in kept.links.items()} if kept else {}
    api = links.pop(record.API, None)
    serving = {p.name for p in running if p.state is State.READY}
    nodes = _nodes(sandbox) if {"kube-apiserver", "link-api"} <= serving else []
    return Status(
        name=sandbox.name,
        exists=kept is not None,
        running=bool(running)
        and len(serving) == len(running)
        and kept is not None
        and len(nodes) == kept.nodes
        and all(n.ready for n in nodes),
        api=f"https://127.0.0.1:{api}" if api else None,
        kubeconfig=sandbox.kubeconfig,
        links=links,
        nodes=nodes,
        programs=running,
    )


def publish(
    sandbox: Sandbox, services: Mapping[str, tuple[str, int]], console: Console | None = None
) -> dict[str, int]:
    """Loopback ports of this machine for Services: name → (cluster IP, port) gives name → port.

    Adds to what was published before and keeps the port of a name that is known already; a
    restarted or repaired sandbox has the same links. Returns when every port listens, which
    says nothing about the Service behind it.

    Raises SandboxError when the sandbox does not run.
    """
    machine.require_root()
    if record.API in services:
        raise SandboxError(f"A Service cannot be published as {record.API!r}: it is taken.")
    targets = {name: f"{host}:{port}" for name, (host, port) in services.items()}
    with _alone(sandbox, console or Console(stderr=True)):
        wanted = record.with_links(_running(sandbox), targets)
        _follow_links(sandbox, wanted)
        names = [f"link-{name}" for name in services]
        programs.wait_ready(sandbox, names, 20, lambda _: None)
        return {name: wanted.links[name].port for name in services}


def withdraw(sandbox: Sandbox, console: Console | None = None) -> None:
    """Close every published link; the API server's own stays.

    Raises SandboxError when the sandbox does not run.
    """
    machine.require_root()
    with _alone(sandbox, console or Console(stderr=True)):
        kept = _running(sandbox)
        _follow_links(sandbox, Record(kept.nodes, {record.API: kept.links[record.API]}))


def _running(sandbox: Sandbox) -> Record:
    kept = record.load(sandbox)
    if kept is None or not programs.is_supervised(sandbox):
        raise SandboxError(f"Sandbox {sandbox.name} does not run; start it with `up`.")
    return kept


def _follow_links(sandbox: Sandbox, wanted: Record) -> None:
    record.save(sandbox, wanted)
    others = [p for p in programs.read_list(sandbox) if not p.name.startswith("link-")]
    programs.apply(sandbox, [*others, *record.link_programs(sandbox, wanted)])


def node_names(sandbox: Sandbox) -> list[str]:
    """The nodes that the sandbox has or should have; none when it does not exist."""
    kept = record.load(sandbox)
    return node.names(kept.nodes) if kept else []


def containerd_sockets(sandbox: Sandbox) -> list[Path]:
    """The containerd of every node, for importing images."""
    return [sandbox.containerd_socket(name) for name in node_names(sandbox)]


def _alone(sandbox: Sandbox, console: Console) -> AbstractContextManager[Path]:
    def waiting(holder: str) -> None:
        line = f"Waiting for {holder} to end …"
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    return locked(RUNTIME_ROOT / f"{sandbox.name}.lock", waiting)


def _plan(sandbox: Sandbox, nodes: int | None) -> Record:
    kept = record.load(sandbox)
    if nodes is not None and not 1 <= nodes <= network.MAXIMUM_NODES:
        raise SandboxError(f"A sandbox has 1 to {network.MAXIMUM_NODES} nodes, not {nodes}.")
    if kept and nodes is not None and nodes < kept.nodes:
        raise SandboxError(
            f"Sandbox {sandbox.name} has {kept.nodes} nodes and none can be taken away, because "
            "pods and volumes live on them. Take it down first, then start it with "
            f"--nodes {nodes}."
        )
    count = nodes or (kept.nodes if kept else DEFAULT_NODES)
    links = kept.links if kept else {}
    return record.with_links(Record(count, links), {record.API: record.api_target()})


def _lay_ground(sandbox: Sandbox, wanted: Record) -> Record:
    """Directories, control groups, network, keys: what must be there before programs start.

    After it, nothing of an earlier life is in the way that would not fit any more.
    """
    sandbox.logs.mkdir(parents=True, exist_ok=True)
    sandbox.state.chmod(0o700)
    sandbox.volumes.mkdir(exist_ok=True)
    cgroups.create(f"{sandbox.cgroup}/supervisor")
    cgroups.create(f"{sandbox.cgroup}/{control_plane.CGROUP}")
    if not programs.is_supervised(sandbox):
        programs.stop_leftovers(sandbox)
        _forget_earlier_boot(sandbox)
        wanted = record.with_usable_ports(wanted)
    record.save(sandbox, wanted)
    new = network.set_up(sandbox, node.names(wanted.nodes))
    if sandbox.fabric in new:
        cgroups.kill(f"{sandbox.cgroup}/{control_plane.CGROUP}")
    for name in node.names(wanted.nodes):
        node.prepare(sandbox, name, network_is_new=sandbox.namespace(name) in new)
    control_plane.write_admin_kubeconfig(sandbox, wanted.links[record.API].port)
    return wanted


def _forget_earlier_boot(sandbox: Sandbox) -> None:
    """Sockets, leases and process ids of before a reboot, where /run outlives one."""
    mark = sandbox.runtime / "boot-id"
    if not mark.exists() or mark.read_text() != machine.boot_id():
        unmount_below(sandbox.runtime)
        node.remove_shim_sockets(sandbox)
        shutil.rmtree(sandbox.runtime, ignore_errors=True)
        write(mark, machine.boot_id())


def _programs(sandbox: Sandbox, wanted: Record, binaries: Mapping[str, Path]) -> list[Program]:
    keys = control_plane.keys(sandbox)
    names = node.names(wanted.nodes)
    return [
        *control_plane.programs(sandbox, binaries),
        *(node.runtime_program(sandbox, name) for name in names),
        *(p for name in names for p in node.programs(sandbox, name, keys, binaries)),
        *addons.programs(sandbox, keys, binaries),
        *record.link_programs(sandbox, wanted),
    ]


def _has_pause_image(sandbox: Sandbox, name: str) -> Path:
    """A mark in the node's state, beside the images themselves."""
    return node.directory(sandbox, name) / "has-pause-image"


def _wait_for_nodes(sandbox: Sandbox, names: Sequence[str]) -> None:
    if {n.name for n in _nodes(sandbox) if n.ready} == set(names):
        return  # one question instead of two for each node
    nodes = [f"node/{name}" for name in names]
    timeout = f"--timeout={NODES_DEADLINE}s"
    kubectl.run(sandbox, "wait", "--for=create", timeout, *nodes)
    kubectl.run(sandbox, "wait", "--for=condition=Ready", timeout, *nodes)


def _nodes(sandbox: Sandbox) -> list[NodeStatus]:
    try:
        listed = json.loads(kubectl.run(sandbox, "get", "nodes", "--output=json"))["items"]
    except SandboxError:
        return []  # it went away while we asked
    return [
        NodeStatus(
            item["metadata"]["name"],
            any(
                c["type"] == "Ready" and c["status"] == "True"
                for c in item["status"].get("conditions", [])
            ),
        )
        for item in listed
    ]
