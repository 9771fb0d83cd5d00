"""What is told to the nodes so that pods become part of the cluster.

Redis deletes keys in one case: a master hears that another one has its slots, by a higher epoch. So
a node that has keys and knows nobody gets its slots, and an epoch above all others, before it is
introduced; and nobody is introduced while somebody knows another owner of a master's slots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

from ado_infra.ops.errors import OpsError
from ado_infra.ops.redis.cluster import MASTERS, SLOTS, Cluster, spans
from ado_infra.ops.redis.nodes import Member, Peer, Step

_PORT: Final = 6379
_NONE: Final = frozenset[int]()


def superseded(cluster: Cluster, member: Member) -> bool:
    """Whether others serve what a node has, which knows nobody from whom it would hear that."""
    own = member.own
    if own is None or own.master:
        return False
    if member.slots:
        return member.alone and bool(cluster.served_by_others(member))
    return bool(member.keys) and len(cluster.served) == SLOTS


class Joining:
    """Making some of the pods part of the cluster; `gone`: nodes that everybody is to forget."""

    def __init__(self, cluster: Cluster, pods: Sequence[Member], gone: Sequence[Peer]) -> None:
        self._cluster = cluster
        self._pods = pods
        self._gone = {peer.id: peer for peer in gone}
        self._emptied = {member.name for member in pods if superseded(cluster, member)}
        self._masters = [
            member
            for member in pods
            if member.own and not member.own.master and member.name not in self._emptied
        ]

    def steps(self) -> Iterator[Step]:
        """All of it, in the order in which it must be done.

        Raises OpsError when a master would delete keys.
        """
        yield from self._empty()
        for member in self._kept(self._cluster.members):
            yield from self._forget(member)
        for member in self._masters:
            yield from self._claim(member)
        meetings = list(self._meet())
        if meetings and (names := ", ".join(self._in_danger())):
            raise OpsError(
                f"{names} would delete keys, as another node claims the same slots: see "
                "`ado-ops redis status`."
            )
        yield from meetings
        yield from self._follow()
        yield from self._follow_successors()

    def _kept(self, members: Sequence[Member]) -> list[Member]:
        return [member for member in members if member.name not in self._emptied]

    def _empty(self) -> Iterator[Step]:
        for member in self._pods:
            if member.name in self._emptied and member.keys:
                yield Step(member.name, "flushall")
            if member.name in self._emptied and member.slots:
                yield Step(member.name, "cluster reset")

    def _forget(self, member: Member) -> Iterator[Step]:
        for peer in member.peers:
            # No node forgets its own master.
            if peer.id in self._gone and member.own and member.own.master != peer.id:
                yield Step(member.name, f"cluster forget {peer.id}")

    def _claim(self, member: Member) -> Iterator[Step]:
        epoch, claim = self._epochs.get(member.name), self._claims[member.name]
        if epoch and member.alone:
            yield Step(member.name, f"cluster set-config-epoch {epoch}")
        elif epoch:
            yield Step(member.name, "cluster bumpepoch")
        if claim:
            ranges = (part.partition("-") for part in spans(claim).split(", "))
            words = " ".join(f"{first} {last or first}" for first, _, last in ranges)
            yield Step(member.name, f"cluster addslotsrange {words}")

    @cached_property
    def _claims(self) -> dict[str, frozenset[int]]:
        """Pod → slots of nobody's: of each third, whoever has most of it gets the rest."""
        owned = [member.slots for member in self._kept(self._cluster.members)]
        kept = [p.all_slots for p in self._cluster.gone.values() if p.id not in self._gone]
        free = frozenset(range(SLOTS)).difference(*owned, *kept)
        have = {member.name: member.slots for member in self._masters}
        claims = dict.fromkeys(have, _NONE)
        for ordinal in range(MASTERS):
            third = range(SLOTS * ordinal // MASTERS, SLOTS * (ordinal + 1) // MASTERS)
            if have and (part := free & set(third)):
                order = {
                    name: (-len(slots & set(third)), len(slots)) for name, slots in have.items()
                }
                taker = min(order, key=lambda name: order[name])
                claims[taker] |= part
                have[taker] |= part
        return claims

    @cached_property
    def _epochs(self) -> dict[str, int]:
        """Pod → an epoch above all others, where others may know other owners of its slots."""
        highest = max(m.number("cluster_current_epoch") for m in self._cluster.members)
        raised: dict[str, int] = {}
        for member in self._masters:
            claim = self._claims[member.name]
            # Who is alone can be given one once, and only before it is introduced.
            unset = member.own is not None and not member.own.epoch and bool(member.slots or claim)
            if unset if member.alone else claim:
                highest += 1
                raised[member.name] = highest
        return raised

    @cached_property
    def _seeds(self) -> list[Member]:
        """Whom the others are introduced to, the best one first."""
        kept = self._kept(self._cluster.members)
        having = [m for m in kept if m.slots] or [m for m in kept if self._claims.get(m.name)]
        return sorted(having or kept, key=lambda member: member.alone)

    def _meet(self) -> Iterator[Step]:
        for member in self._pods:
            seed = next((seed for seed in self._seeds if seed.name != member.name), None)
            if seed is None or seed.own is None:
                continue
            if seed.alone and seed in self._pods and member is self._seeds[0]:
                continue  # where all are alone, the others meet this one
            if member.name in self._emptied or not (member.knows(seed) and seed.knows(member)):
                yield Step(member.name, f"cluster meet {seed.own.address} {_PORT}")

    def _in_danger(self) -> Iterator[str]:
        """The masters of whose slots somebody knows another owner, by as high an epoch."""
        names = {member.name for member in self._pods}
        members = self._kept(self._cluster.members)
        together = [m for m in members if m.name in names or not m.alone]
        emptied = {m.own.id for m in self._pods if m.own and m.name in self._emptied}
        known = {
            (peer.id, peer.epoch, peer.slots): peer.all_slots
            for member in together
            for peer in member.peers
            if peer.slots and peer.id not in self._gone.keys() | emptied
        }
        for member in together:
            if (own := member.own) is None or own.master:
                continue
            epoch = self._epochs.get(member.name, own.epoch)
            if any(
                identity != own.id and other >= epoch and slots & member.slots
                for (identity, other, _), slots in known.items()
            ):
                yield member.name

    def _follow(self) -> Iterator[Step]:
        """Makes nodes that have nothing replicas of the masters that have the fewest."""
        counts = {
            own.id: len(self._cluster.replicas_of(own.id))
            for member, own in self._cluster.masters()
            if member.name not in self._emptied and (member.slots or self._claims.get(member.name))
        }
        for member in self._pods:
            empty = member in self._masters and not (member.slots or member.keys)
            if member.name not in self._emptied and (not empty or self._claims[member.name]):
                continue
            master = min(counts, key=lambda identity: counts[identity], default=None)
            if master is not None and counts[master] < self._cluster.replicas:
                counts[master] += 1
                yield Step(member.name, f"cluster replicate {master}")

    def _follow_successors(self) -> Iterator[Step]:
        """Leads the replicas of a node that is gone to the one that its pod is now."""
        for peer in self._gone.values():
            heir = next((m for m in self._masters if m.name == peer.pod), None)
            if heir and heir.own and (heir.slots or self._claims[heir.name]):
                for replica in self._cluster.replicas_of(peer.id):
                    yield Step(replica.name, f"cluster replicate {heir.own.id}")
