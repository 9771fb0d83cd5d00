"""What Redis looks like, and what an operator should do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from ado_infra.ops.redis import repair
from ado_infra.ops.redis.cluster import SLOTS, Cluster, spans
from ado_infra.ops.redis.nodes import Member, Peer

FULL = 0.9
"""Share of maxmemory from which on a node counts as almost full."""


def table(cluster: Cluster) -> Table:
    """A row for each pod, and the cluster as a whole below."""
    shown = Table(
        title="Redis", title_justify="left", caption=summary(cluster), caption_justify="left"
    )
    for column in ("pod", "node", "phase", "role", "slots", "keys", "link", "memory", "log"):
        shown.add_column(column)
    for member in cluster.members:
        shown.add_row(
            member.name,
            member.node or "-",
            member.phase if member.ready else f"{member.phase}, not Ready",
            *(_told(cluster, member, member.own) if member.own else (_silence(member),)),
        )
    return shown


def data(cluster: Cluster) -> dict[str, Any]:
    """The same for programs; sizes are bytes, and what cannot be told is null."""
    return {
        "external": False,
        "summary": summary(cluster),
        "pods": [*map(_of_pod, cluster.members)],
    }


def _of_pod(member: Member) -> dict[str, Any]:
    own = member.own
    return {
        "name": member.name,
        "node": member.node,
        "phase": member.phase,
        "ready": member.ready,
        "id": own and own.id,
        "master": (own and own.master) or None,
        "slots": len(member.slots) if own else None,
        "keys": member.keys if own else None,
        "memory": member.number("used_memory") if own else None,
        "maxmemory": member.number("maxmemory") if own else None,
    }


def summary(cluster: Cluster) -> str:
    """Whether the cluster is whole, with the numbers that tell."""
    states = {member.info.get("cluster_state", "unknown") for member in cluster.members}
    known = len(cluster.nodes) + len(cluster.gone)
    whole = (
        states == {"ok"}
        and len(cluster.served) == SLOTS
        and known == len(cluster.members)
        and cluster.agreed
    )
    return (
        f"{'Whole' if whole else 'Not whole'}: state {' and '.join(sorted(states))}, "
        f"{len(cluster.served)} of {SLOTS} slots served, {known} nodes known in "
        f"{len(cluster.members)} pods, {'all' if cluster.agreed else 'not all'} agree."
    )


def _silence(member: Member) -> str:
    return "loads its data" if not member.trouble else "unknown"


def _told(cluster: Cluster, member: Member, own: Peer) -> tuple[str, ...]:
    log = "ok" if member.info.get("aof_last_write_status") == "ok" else "last write failed"
    used, most = (member.number(key) / 2**20 for key in ("used_memory", "maxmemory"))
    return (
        f"replica of {cluster.name_of(own.master)}" if own.master else "master",
        spans(slot for part in own.slots for slot in part) or "-",
        str(member.keys),
        _link(cluster, member, own),
        f"{used:.0f} of {most:.0f} MiB",
        f"{log}, tail cut at start" if member.cut else log,
    )


def _link(cluster: Cluster, member: Member, own: Peer) -> str:
    if not own.master:
        return "-"
    if member.info.get("master_sync_in_progress") == "1":
        return "copies"
    if member.info.get("master_link_status") != "up":
        return "down"
    master = cluster.nodes.get(own.master)
    if master is None:
        return "up"
    late = master.number("master_repl_offset") - member.number("slave_repl_offset")
    return f"up, {max(0, late)} B behind"


def findings(cluster: Cluster) -> Iterator[str]:
    """What is not as it should be, each with what to do; nothing when all is well."""
    for member in cluster.members:
        yield from _of_itself(member)
    if not cluster.nodes:
        return
    if not cluster.served and not cluster.gone:
        yield (
            "There is no cluster yet: the Job redis-cluster-create-… makes it, and its log says "
            "what it waits for. When that has failed, `ado-ops redis heal` makes it."
        )
        return
    lost = frozenset(m.name for m in cluster.members if repair.is_another(cluster, m))
    for name in sorted(lost):
        yield _of_lost(cluster, name)
    for peer in cluster.gone.values():
        yield from _of_gone(cluster, peer, lost)
    yield from _of_slots(cluster)
    yield from _of_views(cluster, lost)
    for member, own in cluster.masters():
        if own.slots and member.name not in lost:
            yield from _of_master(cluster, member, own)
        elif member.name not in lost:
            yield (
                f"{member.name} has no slots and follows nobody: `ado-ops redis heal` gives it "
                "slots that nobody has, or a master."
            )


def _of_views(cluster: Cluster, lost: frozenset[str]) -> Iterator[str]:
    for member in cluster.nodes.values():
        strangers = [o.name for o in cluster.misseen(member) if not {o.name, member.name} & lost]
        if strangers:
            yield (
                f"{member.name} does not see {', '.join(strangers)} as they are: they find each "
                "other within a minute; after that `ado-ops redis heal` introduces them."
            )


def _of_itself(member: Member) -> Iterator[str]:
    if member.trouble:
        yield (
            f"{member.name} tells nothing ({member.trouble}): its log and "
            f"`kubectl describe pod {member.name}` say why."
        )
        return
    if not member.own:
        yield f"{member.name} loads its data and answers nobody yet: wait."
    if member.info.get("aof_last_write_status", "ok") != "ok":
        yield (
            f"{member.name} could not write its log, and refuses writes: when its volume is full, "
            "see docs/data-runbooks.md, Growing a volume."
        )
    most = member.number("maxmemory")
    share = member.number("used_memory") / most if most else 0
    if share > FULL and member.info.get("maxmemory_policy") == "noeviction":
        yield (
            f"{member.name} uses {share:.0%} of its memory, and refuses writes when that is full: "
            "delete keys, or raise ado:redis.resources.limits.memory."
        )


def _of_lost(cluster: Cluster, name: str) -> str:
    member, former = repair.pod_of(cluster, name), cluster.former(name)
    lost = "lost its nodes.conf" if member.alone and member.slots else "lost its volume"
    if not member.alone and (member.slots or (member.own and member.own.master)):
        lost = "its place again"  # and somebody who was away has not forgotten the former node
    left = spans(slot for peer in former for slot in cluster.left(peer))
    keys = f", with the keys of the slots {left}" if left and not member.keys else ""
    known = "".join(f"; the others still know it as node {peer.id}" for peer in former)
    cost = repair.loss(cluster, member)
    command = f"`ado-ops redis replace {name}{' --accept-loss' if cost else ''}`"
    if heirs := [heir.name for peer in former for heir in repair.heirs(cluster, member, peer)]:
        return f"{name} has {lost}{known}: {heirs[0]} has its keys and takes over first."
    return f"{name} has {lost}{keys}{known}: {command}{f' ({cost})' if cost else ''}."


def _of_gone(cluster: Cluster, peer: Peer, lost: frozenset[str]) -> Iterator[str]:
    away = spans(cluster.left(peer))
    if cluster.pod(peer.pod) is None and away:
        yield (
            f"Node {peer.id} is in no pod ({peer.pod or 'of unknown name'}), and nobody else has "
            f"the keys of the slots {away}: set ado:redis.replicasPerMaster back to what it was "
            "(docs/data-runbooks.md, More replicas, and fewer)."
        )
    elif cluster.pod(peer.pod) is None:
        yield (
            f"Node {peer.id} is in no pod ({peer.pod or 'of unknown name'}), and is still known: "
            "`ado-ops redis heal` lets every node forget it."
        )
    elif peer.pod not in lost and away:
        yield f"The keys of the slots {away} are away until {peer.pod} is back."
    pod = cluster.pod(peer.pod)
    if away and not (pod and pod.keys):  # what is back with its keys has lost nothing
        for replica in cluster.replicas_of(peer.id):
            yield (
                f"{replica.name} has not taken over from {peer.pod}; if that lasts longer than "
                f"15 s and {peer.pod} does not come back with its keys: `ado-ops redis failover "
                f"{replica.name} --accept-loss`."
            )


def _of_slots(cluster: Cluster) -> Iterator[str]:
    claimed = {slot for peer in cluster.gone.values() for slot in peer.all_slots}
    if nobodys := spans(set(range(SLOTS)) - cluster.served - claimed):
        yield f"Nobody has the slots {nobodys}: `ado-ops redis heal` gives them to a master."


def _of_master(cluster: Cluster, member: Member, own: Peer) -> Iterator[str]:
    followers = cluster.replicas_of(own.id)
    if cluster.replicas and not followers:
        yield (
            f"{member.name} has no replica that answers: bring that back; of a node that has "
            "nothing `ado-ops redis heal` makes one."
        )
    for follower in followers:
        if follower.info.get("master_link_status") != "up":
            yield (
                f"{follower.name} receives nothing from {member.name}: unless it copies everything "
                "just now, its log says why."
            )
        if follower.node == member.node:
            yield (
                f"{member.name} and its replica {follower.name} are both on {member.node}, and "
                f"lost together: once another host has room delete pod {follower.name}, and its "
                "claim too where volumes are tied to hosts: then `ado-ops redis heal` after it."
            )
