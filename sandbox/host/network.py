"""The sandbox's network: a namespace with a bridge (the fabric) and one namespace per node.

    fabric  10.99.0.1/24   control plane, object storage, metrics-server; routes for everybody
      |  bridge, one veth pair per node
    n1      10.99.0.11/24  pods 10.244.1.0/24
    n2      10.99.0.12/24  pods 10.244.2.0/24 ...

Nothing of it is connected to the machine's own network, so every sandbox uses the same numbers.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.paths import NETNS_ROOT, Sandbox, netns_path

FABRIC_ADDRESS = "10.99.0.1"
FABRIC = "10.99.0.0/24"
"""Nodes, and what is beside them."""
DNS_ADDRESS = "169.254.20.10"
"""Of each node, for its own pods."""
POD_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
MAXIMUM_NODES = 50

_CLONE_NEWNET = 0x40000000
_BRIDGE = "nodes"


def node_address(node: str) -> str:
    """A node's InternalIP."""
    return f"10.99.0.{10 + _number(node)}"


def pod_subnet(node: str) -> str:
    """The addresses a node gives to its pods."""
    return f"10.244.{_number(node)}.0/24"


def _number(node: str) -> int:
    return int(node.removeprefix("n"))


def enter(namespace: Path) -> None:
    """Move the calling thread into a network namespace; sockets it has already stay outside."""
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        # os.setns exists from Python 3.12 on
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(namespace))
    finally:
        os.close(descriptor)


@contextmanager
def inside(namespace: str | None) -> Generator[None]:
    """Run the block's thread inside a named network namespace; None stays where it is."""
    if namespace is None:
        yield
        return
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter(netns_path(namespace))
        yield
    finally:
        enter(Path(f"/proc/self/fd/{outside}"))
        os.close(outside)


def existing(sandbox: Sandbox) -> list[str]:
    """The sandbox's named namespaces that are there."""
    if not NETNS_ROOT.is_dir():
        return []
    return sorted(p.name for p in NETNS_ROOT.iterdir() if sandbox.owns_namespace(p.name))


def set_up(sandbox: Sandbox, nodes: Sequence[str]) -> list[str]:
    """Make the namespaces that are missing and return their names.

    What ran in one that went away (a reboot, somebody removed it) has no network any more and
    must be started afresh.
    """
    missing = [
        name for name in (sandbox.fabric, *map(sandbox.namespace, nodes)) if not _alive(name)
    ]
    if sandbox.fabric in missing:
        _make_fabric(sandbox.fabric)
        # Its bridge has no ports: nodes of an earlier fabric are connected anew.
        missing = [sandbox.fabric, *map(sandbox.namespace, nodes)]
    for node in nodes:
        if sandbox.namespace(node) in missing:
            _make_node(sandbox, node)
    if missing:
        _route_services(sandbox.fabric, nodes)
    return missing


def remove(sandbox: Sandbox) -> None:
    """Remove the sandbox's namespaces and with them every interface in them."""
    for namespace in existing(sandbox):
        _remove(namespace)
    if NETNS_ROOT.is_dir() and not any(NETNS_ROOT.iterdir()):
        # iproute2 mounts the directory upon itself when the first namespace is made
        subprocess.run(["umount", NETNS_ROOT], capture_output=True, check=False)
        NETNS_ROOT.rmdir()


def _make_fabric(namespace: str) -> None:
    _make(namespace)
    _ip(
        namespace,
        f"link add {_BRIDGE} type bridge",
        f"addr add {FABRIC_ADDRESS}/24 dev {_BRIDGE}",
        f"link set {_BRIDGE} up",
    )
    # Nodes reach each other's pods through the fabric, which need not tell them of shortcuts.
    for interface in ("all", _BRIDGE):
        _sysctl(namespace, f"net/ipv4/conf/{interface}/send_redirects", "0")


def _make_node(sandbox: Sandbox, node: str) -> None:
    namespace, address = sandbox.namespace(node), node_address(node)
    _make(namespace)
    subnet = pod_subnet(node)
    _ip(sandbox.fabric, f"link add {node} type veth peer name eth0 netns {namespace}")
    _ip(
        sandbox.fabric,
        f"link set {node} master {_BRIDGE} up",
        f"route replace {subnet} via {address}",
    )
    _ip(
        namespace,
        f"addr add {address}/24 dev eth0",
        "link set eth0 up",
        f"addr add {DNS_ADDRESS}/32 dev lo",
        f"route add default via {FABRIC_ADDRESS}",
    )


def _route_services(fabric: str, nodes: Sequence[str]) -> None:
    """Give the fabric, and so the loopback links, a way to Services: over any node.

    The node's kube-proxy picks the pod and, as the fabric is outside the pod network, puts the
    node's address as sender, so that answers come back the same way.
    """
    hops = " ".join(f"nexthop via {node_address(node)}" for node in nodes)
    _ip(fabric, f"route replace {SERVICE_NETWORK} {hops}")


def _make(namespace: str) -> None:
    _remove(namespace)
    _run(["ip", "netns", "add", namespace])
    _ip(namespace, "link set lo up")
    _sysctl(namespace, "net/ipv4/ip_forward", "1")


def _remove(namespace: str) -> None:
    path = netns_path(namespace)
    if path.exists():
        subprocess.run(["umount", "--lazy", path], capture_output=True, check=False)
        path.unlink(missing_ok=True)


def _alive(namespace: str) -> bool:
    """Whether the name leads to a namespace; after a reboot it may be but an empty file."""
    try:
        with inside(namespace):
            return True
    except OSError:
        return False


def _ip(namespace: str, *commands: str) -> None:
    _run(["ip", "-netns", namespace, "-batch", "-"], "\n".join(commands))


def _sysctl(namespace: str, name: str, value: str) -> None:
    with inside(namespace):  # /proc/sys/net shows the values of the reader's namespace
        Path("/proc/sys", name).write_text(value)


def _run(command: list[str], standard_input: str = "") -> None:
    done = subprocess.run(
        command, input=standard_input, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SandboxError(
            f"The sandbox's network cannot be set up: `{' '.join(command)}` said: "
            f"{done.stderr.strip()[-400:]}"
        )
