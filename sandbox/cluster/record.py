"""What a sandbox must remember about itself: its size and its loopback links."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from sandbox.cluster import control_plane
from sandbox.files import write
from sandbox.host.network import FABRIC_ADDRESS
from sandbox.host.programs import Program
from sandbox.paths import Sandbox

API = "api"
"""The link to the API server; Services cannot be published under this name."""


@dataclass(frozen=True)
class Link:
    """A port of 127.0.0.1 that leads to an address inside the sandbox."""

    port: int
    target: str
    """HOST:PORT"""


@dataclass(frozen=True)
class Record:
    """The sandbox as it should be."""

    nodes: int
    links: Mapping[str, Link] = field(default_factory=dict)


def load(sandbox: Sandbox) -> Record | None:
    """The sandbox's record; None when there is no such sandbox."""
    try:
        document = json.loads((sandbox.state / "record.json").read_text())
    except FileNotFoundError:
        return None
    links = {name: Link(**link) for name, link in document["links"].items()}
    return Record(document["nodes"], links)


def save(sandbox: Sandbox, record: Record) -> None:
    """Remember; at once or not at all."""
    write(sandbox.state / "record.json", json.dumps(asdict(record), indent=1))


def with_links(record: Record, targets: Mapping[str, str]) -> Record:
    """The record with links to these targets too; a name that has a port keeps it."""
    links = dict(record.links)
    for name, target in targets.items():
        port = links[name].port if name in links else _free_port()
        links[name] = Link(port, target)
    return replace(record, links=links)


def with_usable_ports(record: Record) -> Record:
    """The record with another port wherever somebody else has taken the link's meanwhile."""
    links = {
        name: link if _is_free(link.port) else replace(link, port=_free_port())
        for name, link in record.links.items()
    }
    return replace(record, links=links)


def link_url(name: str, port: int) -> str:
    """What a published link is opened with: a name that ends in `-ws` is a WebSocket's."""
    return f"{'ws' if name.endswith('-ws') else 'http'}://127.0.0.1:{port}"


def api_target() -> str:
    """Where the API server answers inside the sandbox."""
    return f"{FABRIC_ADDRESS}:{control_plane.API_PORT}"


def link_programs(sandbox: Sandbox, record: Record) -> list[Program]:
    """A relay for each link."""
    return [
        Program(
            name=f"link-{name}",
            command=(
                sys.executable,
                *("-m", "sandbox.host.relay", str(link.port), sandbox.fabric, link.target),
            ),
            cgroup=control_plane.CGROUP,
            ready=f"tcp://127.0.0.1:{link.port}",
        )
        for name, link in record.links.items()
    ]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
