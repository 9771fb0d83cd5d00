"""Taking the platform off a node, in steps that can each be taken twice.

What has a successor hands over first, while the node still takes pods: a promotion deletes the
former primary's pod and has to see it again, and a volume that is tied to the node would keep it
away from a cordoned one. Cordon and evictions come last. Interrupted anywhere, the same command
goes on: every step looks before it acts, and a note on the node says whose promotion is under way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import POLL, Model, Namespace, Say
from ado_infra.ops.nodes.node import Node
from ado_infra.ops.postgres import pair, promotion, rejoining
from ado_infra.ops.redis import repair
from ado_infra.ops.redis.cluster import Cluster
from ado_infra.ops.redis.nodes import Member
from ado_infra.ops.redis.telling import carry_out

PATIENCE: Final = 600.0
"""Seconds without any pod that goes, after which it is given up."""
_MARGIN: Final = 30.0
"""Seconds for the kubelet to report, beyond what a pod is given to end."""
_AGAIN: Final = 5.0
"""Seconds after which an eviction that was refused is asked for again."""
_OUTAGE: Final = "--accept-outage drains all the same."


@dataclass(frozen=True, kw_only=True)
class Draining:
    """A node that is to be drained.

    Attributes:
        node: Which.
        platform: Whose pods go.
        postgres: Whether the platform has a PostgreSQL of its own.
        redis: Looks at its Redis; None where it has none of its own.
        accept_outage: Whether a store may be away until its pods are back.
    """

    node: Node
    platform: Namespace
    postgres: bool
    redis: Callable[[], Cluster] | None
    accept_outage: bool = False

    def steps(self) -> list[str]:
        """What `drain` would do, for people; raises OpsError as that does."""
        return list(self._steps())

    def _steps(self) -> Iterator[str]:
        name = self.node.name
        if (former := self._former()) is not None:
            new, old = pair.pod_name(1 - former), pair.pod_name(former)
            yield f"make {new} the primary in the place of {old}: writes wait for some seconds"
            yield f"make {old} its standby"
        for master, heir in self._masters():
            if heir:
                yield f"make {heir.name} the master in the place of {master.name}"
            else:
                yield f"leave {master.name} the master: its keys are away until its pod is back"
        if self.node.takes_pods():
            yield f"cordon {name}"
        for pod in self.node.pods():
            yield f"evict {pod.metadata.name}, which has at most {_grace(pod)} s to end"

    def drain(self, say: Say) -> None:
        """Takes them; afterwards no pod of the platform is on the node.

        Raises OpsError where that would take a store away, or a pod does not go.
        """
        self._move_primary(say)
        self._hand_over(say)
        if self.node.takes_pods():
            self.node.cordon(cordoned=True)
            say(f"{self.node.name} is cordoned")
        _Evictions(self.node, say).all()

    def _move_primary(self, say: Say) -> None:
        former = self._former()
        if former is None:
            return
        if self.node.moved() is None:
            self.node.note_moved(former)
        promotion.promote(self.platform, 1 - former, say)
        rejoining.rejoin(self.platform, former, say)
        self.node.note_moved(None)

    def _former(self) -> int | None:
        """The pod of PostgreSQL that is to be the primary no longer; None for none."""
        if not self.postgres:
            return None
        moved = self.node.moved()
        former = moved if moved is not None else self._primary_here()
        if former is None:
            return None
        why = "" if moved is not None else self._no_successor(former)
        if why and self.accept_outage:
            return None
        if why:
            raise OpsError(
                f"{pair.pod_name(former)} is the primary, and nobody can take its place: {why} "
                f"{_OUTAGE} Nothing was touched."
            )
        if not self.node.takes_pods():
            raise OpsError(
                f"{self.node.name} is cordoned already, and {pair.pod_name(former)}, which has to "
                f"hand over, may find no other node: `kubectl uncordon {self.node.name}`, and the "
                "same command again; it cordons the node in time. Nothing was touched."
            )
        return former

    def _primary_here(self) -> int | None:
        primary = pair.read_record(self.platform).primary
        pod = self.platform.pod(pair.pod_name(primary))
        return primary if pod and pod.spec.node_name == self.node.name else None

    def _no_successor(self, former: int) -> str:
        """Why the standby cannot take over without a loss; nothing when it can."""
        try:
            standby = promotion.candidate(self.platform, 1 - former)
        except OpsError as refused:
            return str(refused)
        if standby.node == self.node.name:
            return f"{standby.name} is on {standby.node} too."
        if not standby.streaming:
            return f"{standby.name} does not follow; see `ado-ops postgres status`."
        return ""

    def _hand_over(self, say: Say) -> None:
        for master, heir in self._masters():
            if heir is None:
                say(f"{master.name} has nobody to hand over to: its keys are away until it is back")
            elif self.redis:
                exchange = partial(repair.failover, name=heir.name, accept_loss=False)
                carry_out(self.platform, self.redis, exchange, (heir.name,), say)
                say(f"{heir.name} is the master in the place of {master.name}")

    def _masters(self) -> list[tuple[Member, Member | None]]:
        """The masters of Redis there that have slots, each with the replica that is its heir."""
        if self.redis is None:
            return []
        cluster = self.redis()
        here = [(m, own) for m, own in cluster.masters() if m.node == self.node.name and m.slots]
        return [(member, self._heir(cluster, member, own.id)) for member, own in here]

    def _heir(self, cluster: Cluster, master: Member, identity: str) -> Member | None:
        elsewhere = [m for m in cluster.replicas_of(identity) if m.node != self.node.name]
        refusals: list[str] = []
        for replica in elsewhere:
            try:
                repair.failover(cluster, replica.name, accept_loss=False)
            except OpsError as refused:
                refusals.append(str(refused))
            else:
                return replica
        if refusals and not self.accept_outage:
            raise OpsError(f"{master.name} cannot hand over: {refusals[0]} {_OUTAGE}")
        return None


@dataclass
class _Evictions:
    """Pods that go from a node; by their uids what is known of them."""

    node: Node
    say: Say
    ends: dict[str, float] = field(default_factory=dict[str, float])
    """When a pod that is ending must have ended."""
    next_try: dict[str, float] = field(default_factory=dict[str, float])
    refused: dict[str, str] = field(default_factory=dict[str, str])
    """Why a pod may not go yet, by its name."""

    def all(self) -> None:
        """Has all of them go, and waits until they have.

        Raises OpsError when some do not.
        """
        before: dict[str, str] = {}
        patience = time.monotonic() + PATIENCE
        while pods := self.node.pods():
            left: dict[str, str] = {pod.metadata.uid: pod.metadata.name for pod in pods}
            for uid in before.keys() - left.keys():
                self.say(f"{before[uid]} has gone")
                patience = time.monotonic() + PATIENCE
            before = left
            for pod in pods:
                self._send(pod)
            ends = [self.ends.get(uid, patience) for uid in left]
            if time.monotonic() > max(ends):
                raise OpsError(self._stuck(pods))
            time.sleep(POLL)
        for name in before.values():
            self.say(f"{name} has gone")

    def _send(self, pod: Model) -> None:
        uid, name, now = pod.metadata.uid, pod.metadata.name, time.monotonic()
        if uid in self.ends:
            return
        if not pod.metadata.deletion_timestamp:
            if now < self.next_try.get(uid, now):
                return
            self.next_try[uid] = now + _AGAIN
            why = self.node.evict(pod)
            if why and self.refused.get(name) != why:
                self.say(f"{name} may not go yet: {why}")
            if why:
                self.refused[name] = why
                return
        self.refused.pop(name, None)
        self.ends[uid] = now + _grace(pod) + _MARGIN
        self.say(f"{name} ends; it has at most {_grace(pod)} s")

    def _stuck(self, pods: list[Model]) -> str:
        named = [pod.metadata.name for pod in pods]
        refused = [
            f"{name} may not go: {self.refused[name]}" for name in named if name in self.refused
        ]
        late = [name for name in named if name not in self.refused]
        if late:
            refused.append(
                f"{', '.join(late)} has not ended in time, see docs/data-runbooks.md, A node does "
                "not answer"
            )
        return (
            f"{self.node.name} is not empty: {'; '.join(refused)}. The same command goes on; "
            f"`drain {self.node.name} --undo` gives it up."
        )


def _grace(pod: Model) -> int:
    """Seconds that a pod is given to end, from when it was told."""
    given = pod.metadata.deletion_grace_period_seconds
    if given is None:
        given = pod.spec.termination_grace_period_seconds
    return int(given or 0)
