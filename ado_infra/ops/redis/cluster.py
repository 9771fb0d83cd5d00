"""The Redis cluster as its nodes make it up together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

from ado_infra.ops.redis.nodes import Member, Peer

NAME: Final = "redis"
MASTERS: Final = 3
SLOTS: Final = 16384


class Cluster:
    """All pods of it. What a node has is what it says itself; what is gone, the others tell."""

    def __init__(self, members: Sequence[Member], *, replicas: int) -> None:
        self.members = members
        self.replicas = replicas
        """How many replicas each master should have."""
        self.nodes = {member.own.id: member for member in members if member.own}
        """Node → the pod that answers as it."""

    @cached_property
    def served(self) -> frozenset[int]:
        """The slots of the masters that answer."""
        return frozenset(slot for _, own in self.masters() for slot in own.all_slots)

    @cached_property
    def gone(self) -> dict[str, Peer]:
        """The nodes that somebody knows and that no pod answers as.

        With all that anybody knows of them: who was told by others has neither name nor slots.
        """
        found: dict[str, Peer] = {}
        for peer in (peer for member in self.members for peer in member.peers):
            if peer.id not in self.nodes and "handshake" not in peer.flags:
                other = found.get(peer.id, peer)
                pod, slots = other.pod or peer.pod, tuple({*other.slots, *peer.slots})
                found[peer.id] = replace(peer, pod=pod, slots=slots)
        return found

    @property
    def agreed(self) -> bool:
        """Whether every node that answers sees every other one as it is."""
        return not any(any(self.misseen(member)) for member in self.nodes.values())

    def former(self, pod: str) -> list[Peer]:
        """The nodes that were a pod, which answers as another one now."""
        return [peer for peer in self.gone.values() if peer.pod == pod]

    def left(self, peer: Peer) -> frozenset[int]:
        """The slots of a node that is gone which nobody has taken over."""
        return peer.all_slots - self.served

    def served_by_others(self, member: Member) -> frozenset[int]:
        """Slots that another master serves as well as this one."""
        rest = (own.all_slots for other, own in self.masters() if other.name != member.name)
        return member.slots & frozenset[int]().union(*rest)

    def masters(self) -> Iterator[tuple[Member, Peer]]:
        """Every pod that answers as a master, and how it describes itself."""
        for member in self.nodes.values():
            if member.own and not member.own.master:
                yield member, member.own

    def pod(self, name: str) -> Member | None:
        """The pod of that name."""
        return next((member for member in self.members if member.name == name), None)

    def name_of(self, identity: str) -> str:
        """The pod of a node, or where it was last."""
        if identity in self.nodes:
            return self.nodes[identity].name
        return (identity in self.gone and self.gone[identity].pod) or identity

    def replicas_of(self, identity: str) -> list[Member]:
        """The pods that answer as replicas of a node."""
        return [m for m in self.nodes.values() if m.own and m.own.master == identity]

    def misseen(self, member: Member) -> Iterator[Member]:
        """Whom a node does not know, does not reach, or takes for something else than it is."""
        seen = {peer.id: peer for peer in member.peers}
        for identity, other in self.nodes.items():
            peer, own = seen.get(identity), other.own
            if not (peer and own and peer.reached and peer.place == own.place):
                yield other


def spans(slots: Iterable[int]) -> str:
    """Slots in words, such as `0-5460, 9000`."""
    found: list[tuple[int, int]] = []
    for slot in sorted(slots):
        if found and found[-1][1] == slot - 1:
            found[-1] = (found[-1][0], slot)
        else:
            found.append((slot, slot))
    return ", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in found)
