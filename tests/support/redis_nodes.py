"""A Redis cluster of made-up nodes: each has its own view, and deletes keys as Redis does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from types import SimpleNamespace
from typing import Any

from ado_infra.ops.errors import OpsError
from ado_infra.ops.redis.cluster import SLOTS, spans

SHARES = tuple(frozenset(range(*ends)) for ends in ((0, 5461), (5461, 10922), (10922, SLOTS)))
EACH = 97
"""Every so many slots there is a key."""


@dataclass(frozen=True)
class Known:
    """A node as one knows it."""

    pod: str = ""
    address: str = ""
    master: str = ""
    epoch: int = 0
    slots: frozenset[int] = frozenset()
    flags: str = ""


@dataclass
class Node:
    """A node that runs; `keys`: the slots that have one."""

    id: str
    keys: frozenset[int]
    view: dict[str, Known]
    forgotten: set[str] = field(default_factory=set[str])

    @property
    def own(self) -> Known:
        """Its own line."""
        return self.view[self.id]

    def set(self, identity: str, **changes: Any) -> None:
        """Changes a line of its view."""
        self.view[identity] = replace(self.view.get(identity, Known()), **changes)


class Nodes:
    """The namespace with them; `cut_after`: how many of them hear something before Ctrl-C."""

    def __init__(self, pods: int) -> None:
        self.name, self.api = "ado-system", None
        self.told: list[str] = []
        self.cut_after: int | None = None
        self.silent_nodes: set[str] = set()
        self._generation = 0
        self.nodes: dict[str, Node | None] = {f"redis-{n}": None for n in range(pods)}
        for name in self.nodes:
            self.begin(name, frozenset())
        for ordinal, name in enumerate(self.nodes):
            node = self.node(name)
            if ordinal < len(SHARES):
                node.set(node.id, slots=SHARES[ordinal], epoch=ordinal + 1)
                node.keys = frozenset(SHARES[ordinal] & set(range(0, SLOTS, EACH)))
            else:
                master = self.node(f"redis-{ordinal - len(SHARES)}")
                node.set(node.id, master=master.id)
        for name in self.nodes:
            self._meet(self.node(name), self.node("redis-0"))
        self._gossip()

    def node(self, name: str) -> Node:
        """A pod's node, which runs."""
        found = self.nodes[name]
        assert found
        return found

    def keys(self) -> frozenset[int]:
        """All keys that masters serve."""
        masters = (node for node in self._running() if not node.own.master)
        return frozenset(k for node in masters for k in node.keys if k in node.own.slots)

    def stop(self, name: str) -> None:
        """The pod is gone."""
        gone = self.node(name)
        self.nodes[name] = None
        for node in self._running():
            if gone.id in node.view:
                node.set(gone.id, flags=",fail")

    def lose(self, name: str, *, volume: bool) -> None:
        """The pod loses its volume, or its nodes.conf alone, and comes back."""
        keys = frozenset[int]() if volume else self.node(name).keys
        self.stop(name)
        self.come_back(name, keys)

    def come_back(self, name: str, keys: frozenset[int]) -> None:
        """The pod begins as another node: empty and introduced, or with its keys and alone."""
        for node in self._running():
            for identity, known in node.view.items():
                if known.pod == name:
                    node.set(identity, flags=",fail,noaddr", address="")
        new = self.begin(name, keys)
        new.set(new.id, slots=keys)
        if not keys:
            self._meet(new, next(node for node in self._running() if node is not new))
        self._gossip()

    def take_over(self, name: str) -> None:
        """A replica has taken over."""
        self._take_over(self.node(name))
        self._gossip()

    def begin(self, name: str, keys: frozenset[int]) -> Node:
        """A node that knows nobody, and has these keys and no slots."""
        self._generation += 1
        identity = f"{self._generation:040x}"
        own = Known(name, f"10.0.{self._generation}.{name[-1]}")
        self.nodes[name] = Node(identity, keys, {identity: own})
        return self.node(name)

    def _running(self) -> list[Node]:
        return [node for node in self.nodes.values() if node]

    # What the commands ask of a namespace.

    def stateful_set(self, _: str) -> Any:
        return SimpleNamespace(spec=SimpleNamespace(replicas=len(self.nodes)))

    def lost_contact(self, node: str) -> bool:
        return node in self.silent_nodes

    def pod(self, name: str) -> Any:
        if not self.nodes.get(name):
            return None
        return SimpleNamespace(
            metadata=SimpleNamespace(deletion_timestamp=None),
            status=SimpleNamespace(phase="Running", conditions=[]),
            spec=SimpleNamespace(node_name=f"node-of-{name}"),
        )

    def first_said(self, _: str) -> str:
        return ""

    def run(
        self,
        pod: str,
        command: tuple[str, ...],
        given: str | None = None,
        *,
        changes: bool = False,
    ) -> str:
        assert command[:2] == ("/bin/sh", "-c")
        assert changes == (given is not None)
        if given is None:
            return self._described(self.node(pod))
        if self.cut_after == len(self.told):
            raise KeyboardInterrupt
        self.told.append(f"{pod}: {given[:60]}")
        self._obey(self.node(pod), given.removeprefix("cluster ").split())
        self._gossip()
        return "OK\n"

    def _described(self, node: Node) -> str:
        highest = max(known.epoch for known in node.view.values())
        running = {other.id for other in self._running()}
        link = "up" if node.own.master in running else "down"
        lines = [
            f"db0:keys={len(node.keys)},expires=0" if node.keys else "",
            f"master_link_status:{link}" if node.own.master else "",
            "aof_last_write_status:ok",
            "cluster_state:ok",
            f"cluster_current_epoch:{highest}",
        ]
        for identity, known in node.view.items():
            role = ("myself," if identity == node.id else "") + (
                "slave" if known.master else "master"
            )
            address = f"{known.address}:{6379 if known.address else 0}@16379"
            host = f",{known.pod}.redis-headless" if known.pod else ""
            link = "disconnected" if known.flags else "connected"
            slots = _ranges(known.slots)
            lines.append(
                f"{identity} {address}{host} {role}{known.flags} {known.master or '-'} 0 0 "
                f"{known.epoch} {link} {slots}"
            )
        return "\r\n".join(lines)

    # What Redis does.

    def _obey(self, node: Node, words: list[str]) -> None:
        own, top = node.own, max(known.epoch for known in node.view.values()) + 1
        match words:
            case ["forget", identity]:
                _need(identity in node.view, "Unknown node")
                _need(own.master != identity, "Can't forget my master!")
                del node.view[identity]
                node.forgotten.add(identity)
            case ["meet", address, "6379"]:
                (other,) = (n for n in self._running() if n.own.address == address)
                self._meet(node, other)
            case ["set-config-epoch", epoch]:
                _need(len(node.view) == 1 and not own.epoch, "knows others, or has an epoch")
                node.set(node.id, epoch=int(epoch))
            case ["bumpepoch"]:
                node.set(node.id, epoch=top)
            case ["addslotsrange", *ends]:
                numbers = [int(end) for end in ends]
                pairs = zip(numbers[::2], numbers[1::2], strict=True)
                slots = frozenset(s for first, last in pairs for s in range(first, last + 1))
                busy = any(slots & known.slots for known in node.view.values())
                _need(not busy, "Slot is already busy")
                node.set(node.id, slots=own.slots | slots)
            case ["replicate", identity]:
                _need(identity in node.view, "Unknown node")
                _need(bool(own.master) or not (node.keys or own.slots), "the node must be empty")
                node.set(node.id, master=identity)
            case ["failover", *alone]:
                reached = any(n.id == own.master for n in self._running())
                _need(reached or alone == ["takeover"], "Master is down or failed")
                self._take_over(node)
            case ["flushall"]:
                node.keys = frozenset()
            case ["reset"]:
                _need(not node.keys, "can't be called with master nodes containing keys")
                node.view = {node.id: replace(own, master="", slots=frozenset())}
            case _:
                raise AssertionError(words)

    def _meet(self, one: Node, other: Node) -> None:
        for node, met in ((one, other), (other, one)):
            node.view.setdefault(met.id, replace(met.own, slots=frozenset()))

    def _take_over(self, node: Node) -> None:
        former = node.own.master
        slots = node.view[former].slots
        top = max(known.epoch for known in node.view.values()) + 1
        node.set(former, slots=frozenset())
        node.set(node.id, master="", slots=slots, epoch=top)

    def _gossip(self) -> None:
        for _ in range(3):
            for one in self._running():
                for other in self._running():
                    if one is not other and one.id in other.view and other.id in one.view:
                        self._hear(other, one)
        running = {node.id: node for node in self._running()}
        for node in running.values():
            if node.own.master in running:
                node.keys = running[node.own.master].keys

    def _hear(self, node: Node, sender: Node) -> None:
        own = sender.own
        node.set(sender.id, pod=own.pod, address=own.address, master=own.master, epoch=own.epoch)
        if own.master:
            node.set(sender.id, slots=frozenset())
        for identity in sender.view.keys() - node.view.keys() - node.forgotten:
            told = sender.view[identity]  # by others nobody hears of slots, or of a name
            node.set(identity, address=told.address, flags=told.flags)
        if own.slots == node.view[sender.id].slots:
            return
        for identity, known in [*node.view.items()]:
            if identity == sender.id or not (both := known.slots & own.slots):
                continue
            if known.epoch < own.epoch:
                self._lose(node, identity, both, sender.id)
            elif identity in sender.view:
                sender.set(identity, slots=sender.view[identity].slots | both)
                self._lose(sender, sender.id, both, identity)
        if not own.master:
            node.set(sender.id, slots=sender.own.slots)

    def _lose(self, node: Node, identity: str, slots: frozenset[int], heir: str) -> None:
        node.set(identity, slots=node.view[identity].slots - slots)
        if identity == node.id:
            node.keys -= slots
        if not node.view[identity].slots and identity in {node.id, node.own.master}:
            node.set(node.id, master=heir)


@cache
def _ranges(slots: frozenset[int]) -> str:
    return spans(slots).replace(",", "")


def _need(condition: bool, refusal: str) -> None:  # noqa: FBT001 - as assert
    if not condition:
        raise OpsError(f"ERR {refusal}")
