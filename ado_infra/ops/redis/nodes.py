"""The nodes of the Redis cluster: what each tells of itself, and of the others."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Namespace, not_running, phase_of

# With the password that the server has, which need not be the Secret's yet; it stays in the pod.
_SCRIPT: Final = """
export REDISCLI_AUTH="$(cat "$RUN/password")"
ask() { timeout 4 redis-cli "$@"; }
ask -e info persistence replication memory keyspace && ask cluster info && ask cluster nodes
"""
# Slots with holes are thousands of words, more than fit into the address of a request.
_TELL: Final = """
export REDISCLI_AUTH="$(cat "$RUN/password")"
read -r words
timeout 15 redis-cli -e $words
"""
_CUT: Final = "short read while loading the AOF file"
_WIDTH: Final = 100
"""Of a command, as it is shown."""
_ID: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A node as a line of `CLUSTER NODES` has it.

    Attributes:
        id: What it is known by, as long as it keeps its volume.
        pod: The pod in which it was last; empty when it has not said so yet.
        address: Where it was last; empty when nobody knows any more.
        flags: `myself`, `master`, `slave`, `fail?`, `fail`, `handshake`, `noaddr`.
        master: Id of its master; empty for a master.
        epoch: Of two that claim a slot, the one with the higher epoch gets it.
        connected: Whether there is a connection to it.
        slots: What it serves.
    """

    id: str
    pod: str
    address: str
    flags: frozenset[str]
    master: str
    epoch: int
    connected: bool
    slots: tuple[range, ...]

    @property
    def place(self) -> tuple[str, tuple[range, ...]]:
        """What it is in the cluster."""
        return self.master, self.slots

    @cached_property
    def all_slots(self) -> frozenset[int]:
        """Its slots, one by one."""
        return frozenset(slot for part in self.slots for slot in part)

    @property
    def reached(self) -> bool:
        """Whether it answers whoever has this line."""
        return self.connected and not self.flags & {"fail?", "fail", "handshake", "noaddr"}


@dataclass(frozen=True, kw_only=True)
class Member:
    """A pod of the cluster.

    Attributes:
        name: Its name.
        phase: Phase of the pod, or `absent`.
        ready: Whether it is Ready.
        node: Where it runs.
        info: What `INFO` and `CLUSTER INFO` say.
        peers: The nodes that it knows, itself included; none while it loads its data.
        cut: Whether it found half a command at the end of its log when it started.
        trouble: Why nothing can be told.
    """

    name: str
    phase: str = "absent"
    ready: bool = False
    node: str | None = None
    info: Mapping[str, str] = field(default_factory=dict)
    peers: tuple[Peer, ...] = ()
    cut: bool = False
    trouble: str | None = None

    @property
    def own(self) -> Peer | None:
        """Its own line."""
        return next((peer for peer in self.peers if "myself" in peer.flags), None)

    @cached_property
    def slots(self) -> frozenset[int]:
        """What it serves, as it says itself."""
        return self.own.all_slots if self.own else frozenset()

    @property
    def alone(self) -> bool:
        """Whether it knows nobody but itself, as after the loss of its nodes.conf."""
        return len(self.peers) == 1

    @property
    def copies(self) -> bool:
        """Whether it reads its data: from its disk, or from its master."""
        return "1" in (self.info.get("loading"), self.info.get("master_sync_in_progress"))

    def knows(self, other: Member) -> bool:
        """Whether it has another one where that is: there it dials by itself."""
        own = other.own
        return own is not None and any(
            (peer.id, peer.address) == (own.id, own.address) and "handshake" not in peer.flags
            for peer in self.peers
        )

    @property
    def keys(self) -> int:
        """How many keys it has."""
        found = re.match(r"keys=(\d+)", self.info.get("db0", ""))
        return int(found[1]) if found else 0

    def number(self, key: str) -> int:
        """A number of its `INFO`; 0 when it does not say."""
        return int(self.info.get(key, "0"))


def parse_info(text: str) -> dict[str, str]:
    """The lines `key:value` of `INFO` and `CLUSTER INFO`, whatever stands between them."""
    lines = (line.partition(":") for line in text.splitlines())
    return {key: value for key, colon, value in lines if colon and " " not in key}


def parse_nodes(text: str) -> tuple[Peer, ...]:
    """The lines of `CLUSTER NODES`, whatever stands between them."""
    lines = [line.split() for line in text.splitlines()]
    return tuple(_peer(words) for words in lines if words and _ID.fullmatch(words[0]))


def _peer(words: list[str]) -> Peer:
    identity, place, flags, master, _, _, epoch, link, *slots = words
    address, _, host = place.partition(",")
    return Peer(
        id=identity,
        pod=host.partition(",")[0].partition(".")[0],
        address=address.partition("@")[0].rpartition(":")[0],
        flags=frozenset(flags.split(",")),
        master=master.strip("-"),
        epoch=int(epoch),
        connected=link == "connected",
        slots=tuple(_slots(text) for text in slots if not text.startswith("[")),  # [: it moves
    )


def _slots(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def look(namespace: Namespace, name: str) -> Member:
    """One pod, as it tells of itself."""
    pod = namespace.pod(name)
    if pod is None:
        return Member(name=name, trouble="there is no such pod")
    phase, ready = phase_of(pod)
    known = Member(name=name, phase=phase, ready=ready, node=pod.spec.node_name)
    if known.node and namespace.lost_contact(known.node):
        # To ask all the same takes long, and is in vain.
        return replace(known, trouble=f"its node {known.node} does not answer")
    if trouble := not_running(pod):
        return replace(known, trouble=trouble)
    try:
        said = namespace.run(name, ("/bin/sh", "-c", _SCRIPT))
        cut = _CUT in namespace.first_said(name)
    except OpsError as silent:
        return replace(known, trouble=" ".join(str(silent).split()))
    return replace(known, info=parse_info(said), peers=parse_nodes(said), cut=cut)


@dataclass(frozen=True)
class Step:
    """A command for the node of a pod."""

    pod: str
    words: str

    def __str__(self) -> str:
        return textwrap.shorten(f"{self.pod}: redis-cli {self.words}", _WIDTH, placeholder=" …")


def tell(namespace: Namespace, step: Step) -> None:
    """Gives a node a command.

    Raises OpsError with what it says when it refuses.
    """
    namespace.run(step.pod, ("/bin/sh", "-c", _TELL), step.words, changes=True)
