"""What is told to which node so that the cluster is whole again.

Each list of steps comes from one look at all nodes and holds only what is still to be done; so
whoever was interrupted looks again and goes on.

What loses keys is done for one pod only, when somebody has said so; how nodes are joined, and why
that deletes nothing, says `joining`.
"""

from __future__ import annotations

from ado_infra.ops.errors import OpsError
from ado_infra.ops.redis.cluster import Cluster, spans
from ado_infra.ops.redis.joining import Joining, superseded
from ado_infra.ops.redis.nodes import Member, Peer, Step


def failover(cluster: Cluster, name: str, *, accept_loss: bool) -> list[Step]:
    """Makes a replica the master; nothing when it is one.

    With its master, which holds its clients until the replica has everything. `accept_loss`: also
    without its master, whose last writes are lost then.

    Raises OpsError when the pod is no replica, or may not.
    """
    member = pod_of(cluster, name)
    own = member.own
    if own is None:
        raise OpsError(f"{name} cannot take over: {member.trouble or 'it loads its data'}.")
    if member.slots:
        return []
    if not own.master:
        raise OpsError(f"{name} has no slots and follows nobody: `ado-ops redis heal`.")
    seen = next((peer for peer in member.peers if peer.id == own.master), None)
    former = cluster.name_of(own.master)
    if seen and seen.reached and member.info.get("master_link_status") == "up":
        return [Step(name, "cluster failover")]
    if own.master in cluster.nodes:
        raise OpsError(
            f"{name} does not have all that its master {former} has, which answers: wait until it "
            "receives again, see `ado-ops redis status`. Nothing was touched."
        )
    if not accept_loss:
        raise OpsError(
            f"{former}, the master of {name}, is not reached: {_why_silent(cluster, former)}. "
            f"Bring it back; or say --accept-loss, and what {name} has not received from it is "
            "lost. Nothing was touched."
        )
    return [Step(name, "cluster failover takeover")]


def _why_silent(cluster: Cluster, name: str) -> str:
    member = cluster.pod(name)
    if member is None or member.trouble:
        return (member and member.trouble) or "there is no such pod"
    return "it has another identity now" if member.own else "it loads its data"


def replace(cluster: Cluster, name: str, *, accept_loss: bool) -> list[Step]:
    """Gives a pod that came back as another node the place of its former one.

    `accept_loss`: also where that gives keys up, see `loss`.

    Raises OpsError when it may not, or when a pod does not answer.
    """
    member = pod_of(cluster, name)
    _see_all_answer(cluster)
    waiting = [heir for peer in cluster.former(name) for heir in heirs(cluster, member, peer)]
    if waiting:
        raise OpsError(
            f"{name} is empty, and {waiting[0].name} has the keys: first `ado-ops redis failover "
            f"{waiting[0].name} --accept-loss`. Nothing was touched."
        )
    if cluster.served_by_others(member) and not member.alone:
        raise OpsError(
            f"{name} has slots that another one has too. Nodes that know each other settle that "
            "within a minute. Nothing was touched."
        )
    cost = loss(cluster, member)
    if cost and not accept_loss:
        raise OpsError(f"{cost}. Say --accept-loss if that is to be. Nothing was touched.")
    return list(Joining(cluster, [member], cluster.former(name)).steps())


def heal(cluster: Cluster) -> list[Step]:
    """All that loses no key: for every pod what `replace` does, and no node is known in no pod.

    Raises OpsError when a pod does not answer.
    """
    _see_all_answer(cluster)
    pods = [member for member in cluster.members if not loss(cluster, member)]
    names = {member.name for member in pods}
    known = {member.name for member in cluster.members}
    gone = [
        peer
        for peer in cluster.gone.values()
        if peer.pod in names or (peer.pod not in known and not cluster.left(peer))
    ]
    return list(Joining(cluster, pods, gone).steps())


def loss(cluster: Cluster, member: Member) -> str:
    """What is given up when this pod is replaced; nothing where nothing is."""
    if member.keys and superseded(cluster, member):
        return (
            f"{member.name} has {member.keys} keys in slots that others serve: it is emptied, and "
            "what it alone has is lost"
        )
    left = frozenset[int]().union(*(cluster.left(peer) for peer in cluster.former(member.name)))
    if left and not member.keys:
        return (
            f"{member.name} is empty, and nobody else has the keys of the slots {spans(left)}: "
            "they are lost"
        )
    return ""


def is_another(cluster: Cluster, member: Member) -> bool:
    """Whether a pod came back as another node than the one that the others know, or knew, there."""
    return member.own is not None and (
        bool(cluster.former(member.name)) or superseded(cluster, member)
    )


def pod_of(cluster: Cluster, name: str) -> Member:
    """A pod of the cluster.

    Raises OpsError when there is none of that name.
    """
    if member := cluster.pod(name):
        return member
    names = ", ".join(member.name for member in cluster.members)
    raise OpsError(f"{name} is no pod of Redis (there are: {names}).")


def _see_all_answer(cluster: Cluster) -> None:
    """Who does not answer may know of owners of slots that the others do not know."""
    for member in cluster.members:
        if not member.own:
            why = member.trouble or "it loads its data"
            raise OpsError(f"{member.name} has to answer first: {why}. Nothing was touched.")


def heirs(cluster: Cluster, member: Member, peer: Peer) -> list[Member]:
    """Replicas that have the keys of a node that is gone, which its pod has not."""
    lost = not member.keys and cluster.left(peer)
    return cluster.replicas_of(peer.id) if lost else []
