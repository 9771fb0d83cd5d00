"""The embedded cluster as a whole: up, down, and loopback links to its Services."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console

from sandbox import files
from sandbox.build import images, packages, providers, tools
from sandbox.cluster import (
    addons,
    control_plane,
    health,
    kubectl,
    node,
    record,
    removal,
)
from sandbox.cluster.record import Record
from sandbox.errors import SandboxError
from sandbox.files import write
from sandbox.host import cgroups, limits, machine, network, programs
from sandbox.host.mounts import unmount_below
from sandbox.host.programs import Program
from sandbox.paths import RUNTIME_ROOT, Sandbox
from sandbox.progress import step

DEFAULT_NODES = 3
API_SERVER = "kube-apiserver"
API_DEADLINE, PROGRAMS_DEADLINE, NODES_DEADLINE = 120.0, 90.0, 90
"""Seconds; on two cores everything takes under fifteen."""
POLICIES_ARE_OFF = (
    "NetworkPolicies are not enforced: this kernel has neither nftables' queue statement "
    "(CONFIG_NFT_QUEUE) nor iptables' target NFQUEUE (CONFIG_NETFILTER_XT_TARGET_NFQUEUE)."
)


def up(sandbox: Sandbox, nodes: int | None, console: Console) -> None:
    """Start or repair; return when the API answers and every node is Ready.

    `nodes`: how many; None keeps what the sandbox has (DEFAULT_NODES for a new one). More than
    it has adds nodes, fewer is refused. Data, volumes and ports are kept.

    Raises SandboxError with what was missing and the last lines of the program to blame.
    """
    machine.require_root()
    machine.require_kernel()
    with _alone(sandbox):
        wanted = _plan(sandbox, nodes)
        before = {p.name: p.pid for p in programs.read_status(sandbox) if p.pid}
        limits.lift()
        binaries, pause = prepare(console)
        with step(console, "Control plane") as report:
            wanted = _lay_ground(sandbox, wanted)
            names = node.names(wanted.nodes)
            bare = [n for n in names if not _has_pause_image(sandbox, n).exists()]
            listed = _programs(sandbox, wanted, binaries)
            # A kubelet without the pause image would fail its first pods and back off; so would
            # an engine without its rights.
            engines = {f"{n}-{node.POLICY_ENGINE}" for n in bare}
            waiting = {f"{n}-kubelet" for n in bare} | engines
            programs.apply(sandbox, [p for p in listed if p.name not in waiting])
            if bare:
                programs.wait_ready(sandbox, [f"{n}-containerd" for n in bare], 30, report)
                sockets = [sandbox.containerd_socket(n) for n in bare]
                images.load(sockets, pause, [images.PAUSE], report)
                for name in bare:
                    write(_has_pause_image(sandbox, name), "")
                programs.apply(sandbox, [p for p in listed if p.name not in engines])
            programs.wait_ready(sandbox, ["etcd", API_SERVER, "link-api"], API_DEADLINE, report)
            settled = _restart_lost(sandbox, names, before)
            addons.install(sandbox, control_plane.keys(sandbox))
            programs.apply(sandbox, listed)
        with step(console, f"{len(names)} nodes") as report:
            programs.wait_ready(sandbox, [p.name for p in listed], PROGRAMS_DEADLINE, report)
            if not settled:
                report("waiting for nodes to be Ready")
                _wait_for_nodes(sandbox, names)
        if not node.enforces_policies(sandbox, names[0]):  # they all have the machine's kernel
            console.print(POLICIES_ARE_OFF)


def prepare(console: Console) -> tuple[dict[str, Path], Path]:
    """The programs that every sandbox runs, by name, and the archive of its pause image.

    What is missing of these, of the engine's programs and of the platform's images is installed,
    built and kept: minutes once, and nothing afterwards.
    """
    with step(console, "Programs and images") as report:
        packages.ensure(report)
        with ThreadPoolExecutor() as pool:
            # Unpacking Debian waits for the network and the disk, compiling for the processors.
            pause = pool.submit(images.prepare, report)
            crds = pool.submit(addons.monitoring_crds)
            modules = [*tools.CLUSTER, tools.PULUMI, *providers.download(report)]
            binaries = tools.ensure(modules, report)
            crds.result()
            return binaries, pause.result()


def down(sandbox: Sandbox, console: Console) -> bool:
    """Remove every trace of the sandbox, asking nobody; return whether there was any."""
    machine.require_root()
    with _alone(sandbox) as lock:
        found = removal.traces(sandbox)
        if found:
            with step(console, f"Removing sandbox {sandbox.name}"):
                removal.remove(sandbox)
        lock.unlink()
    limits.restore()
    removal.remove_empty_roots()
    return found


def publish(sandbox: Sandbox, services: Mapping[str, tuple[str, int]]) -> dict[str, int]:
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
    with _alone(sandbox):
        wanted = record.with_links(_running(sandbox), targets)
        _follow_links(sandbox, wanted)
        names = [f"link-{name}" for name in services]
        programs.wait_ready(sandbox, names, 20, lambda _: None)
        return {name: wanted.links[name].port for name in services}


def withdraw(sandbox: Sandbox) -> None:
    """Close every published link; the API server's own stays.

    Raises SandboxError when the sandbox does not run.
    """
    machine.require_root()
    with _alone(sandbox):
        kept = _running(sandbox)
        _follow_links(sandbox, Record(kept.nodes, {record.API: kept.links[record.API]}))


def _running(sandbox: Sandbox) -> Record:
    kept = record.load(sandbox)
    if kept is None or not programs.is_supervised(sandbox):
        raise SandboxError(
            f"Sandbox {sandbox.name} does not run; `{sandbox.command('start')}` starts it."
        )
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


def holder(sandbox: Sandbox) -> str:
    """Which command is starting, repairing or removing the cluster right now; may be empty."""
    return files.holder(lock_path(sandbox))


def _alone(sandbox: Sandbox) -> AbstractContextManager[Path]:
    return files.locked(lock_path(sandbox), files.say_waiting)


def lock_path(sandbox: Sandbox) -> Path:
    """Locked by who starts, repairs or removes the cluster; gone with it."""
    return RUNTIME_ROOT / f"{sandbox.name}.lock"


def _plan(sandbox: Sandbox, nodes: int | None) -> Record:
    kept = record.load(sandbox)
    if nodes is not None and not 1 <= nodes <= network.MAXIMUM_NODES:
        raise SandboxError(f"A sandbox has 1 to {network.MAXIMUM_NODES} nodes, not {nodes}.")
    if kept and nodes is not None and nodes < kept.nodes:
        raise SandboxError(
            f"Sandbox {sandbox.name} has {kept.nodes} nodes and none can be taken away, because "
            f"pods and volumes live on them. First `{sandbox.command('down')}`, which removes its "
            f"data too; then `{sandbox.command(f'start --nodes {nodes}')}`."
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


def _restart_lost(sandbox: Sandbox, names: Sequence[str], before: Mapping[str, int]) -> bool:
    """Start again what ran `before` and is lost all the same; whether every node is Ready.

    That is an API server that hangs, and the kubelet of a node that is not Ready: it may hang too,
    and where somebody has deleted its Node, it makes it anew only when it starts.
    """
    if API_SERVER not in before:
        return False
    try:
        seen = health.nodes(sandbox)
    except kubectl.TimedOutError:
        programs.restart(sandbox, {API_SERVER: before[API_SERVER]})
        programs.wait_ready(sandbox, [API_SERVER], API_DEADLINE, lambda _: None)
        seen = health.nodes(sandbox, API_DEADLINE)
    ready = {found.name for found in seen if found.ready}
    lost = [f"{name}-kubelet" for name in names if name not in ready]
    programs.restart(sandbox, {kubelet: before[kubelet] for kubelet in lost if kubelet in before})
    return not lost


def _wait_for_nodes(sandbox: Sandbox, names: Sequence[str]) -> None:
    nodes = [f"node/{name}" for name in names]
    timeout = f"--timeout={NODES_DEADLINE}s"
    kubectl.run(sandbox, "wait", "--for=create", timeout, *nodes)
    kubectl.run(sandbox, "wait", "--for=condition=Ready", timeout, *nodes)
