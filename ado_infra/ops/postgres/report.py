"""What PostgreSQL looks like, and what an operator should do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from ado_infra.ops.postgres.pair import (
    NAME,
    POD_LABEL,
    RECORD,
    Member,
    Record,
    ahead,
    lacks_wal,
    overtaken,
    why_blocked,
    why_lacking,
)

LATE = 64 * 2**20
"""Bytes that a standby may be behind before it is called late: four segments of WAL."""


def table(record: Record, members: Sequence[Member]) -> Table:
    """A row for each pod."""
    shown = Table(title="PostgreSQL", title_justify="left", caption_justify="left")
    for column in ("pod", "node", "phase", "recorded", "server", "timeline", "behind", "slot"):
        shown.add_column(column)
    leader = members[record.primary]
    for member in members:
        recorded = "primary" if member.ordinal == record.primary else "standby"
        shown.add_row(
            member.name,
            f"{member.node} (silent)" if member.lost_contact else member.node or "-",
            member.phase if member.ready else f"{member.phase}, not Ready",
            f"{recorded}, fenced" if member.ordinal in record.fenced else recorded,
            member.server or (f"none ({member.disk})" if member.disk else "unknown"),
            str(member.timeline or "-"),
            _behind(leader, member),
            member.slot or "-",
        )
    return shown


def data(record: Record, members: Sequence[Member]) -> dict[str, Any]:
    """The same for programs; `behind` is bytes, and what cannot be told is null."""
    leader = members[record.primary]
    pods = [
        {
            "name": member.name,
            "node": member.node,
            "phase": member.phase,
            "ready": member.ready,
            "recorded": "primary" if member is leader else "standby",
            "fenced": member.ordinal in record.fenced,
            "server": member.server,
            "disk": member.disk,
            "timeline": member.timeline,
            "behind": _bytes_behind(leader, member),
            "slot": member.slot,
        }
        for member in members
    ]
    return {"external": False, "pods": pods, "backup": None}


def _behind(leader: Member, member: Member) -> str:
    behind = _bytes_behind(leader, member)
    return "-" if behind is None else f"{behind} B"


def _bytes_behind(leader: Member, member: Member) -> int | None:
    if member is leader or member.end is None or leader.end is None:
        return None
    return max(0, leader.end - member.end)


def findings(
    record: Record,
    members: Sequence[Member],
    services: Mapping[str, Any] | None,
    namespace: str,
    *,
    revision: str | None = None,
) -> Iterator[str]:
    """What is not as it should be, each with what to do; nothing when all is well.

    `services`: the selectors of those that there are; None for who may not see them. `revision`:
    the StatefulSet's template of now; likewise.

    What cannot be done yet is not said yet: a standby follows only a primary that serves.
    """
    if _is_left_behind(members, revision):
        yield why_left_behind(members, namespace)
        return  # what it says of itself may be long mended
    if not record.initialised:
        yield from _of_no_record(record, members, namespace)
        return  # until then nothing else helps
    for member in members:
        if member.is_full:
            yield (
                f"The volume of {member.name} has only {member.room} MiB free "
                "(docs/data-runbooks.md, Growing a volume)."
            )
    yield from (why_blocked(member, namespace) for member in members if member.blocked)
    leader, follower = members[record.primary], members[1 - record.primary]
    if leader.ordinal in record.fenced:
        yield _of_fenced(leader, follower)
    elif more := ahead(follower, leader):
        yield (
            f"{follower.name} has {more} bytes that the primary {leader.name} lacks, which was "
            f"rolled back: `ado-ops postgres promote {follower.name} --accept-loss` keeps them."
        )
    elif overtaken(leader, follower):
        yield (
            f"{follower.name} is on a later timeline than the primary {leader.name}, which was "
            f"rolled back: `ado-ops postgres promote {follower.name} --accept-loss` keeps what it "
            "has."
        )
    else:
        yield from _of_leader(leader, follower, namespace)
    if leader.server == "primary":
        yield from _of_follower(leader, follower, fenced=follower.ordinal in record.fenced)
        if services is not None:
            yield from _of_services(leader, follower, services)


def _is_left_behind(members: Sequence[Member], revision: str | None) -> bool:
    """Whether Kubernetes never replaces pod 0: it waits for pod 1, and that for pod 0."""
    first, last = members
    return (
        (revision is not None and first.revision is not None)
        and (first.revision != revision and last.revision == revision)
        and (first.server is None and last.server is None and not last.ready)
    )


def why_left_behind(members: Sequence[Member], namespace: str) -> str:
    """What that means, and what to do."""
    first, last = members
    return (
        f"{first.name} is still as an earlier `pulumi up` made it, and Kubernetes replaces it only "
        f"once {last.name} is Ready, which waits for it: `kubectl -n {namespace} delete pod "
        f"{first.name}` makes it as the stack has it now."
    )


def _of_no_record(record: Record, members: Sequence[Member], namespace: str) -> Iterator[str]:
    bare = [member for member in members if member.is_bare]
    kept = [member for member in members if member.disk in {"primary", "standby"}]
    silent = [member for member in members if member.disk is None]
    fenced = [member for member in bare if member.ordinal in record.fenced]
    for member in fenced:
        yield (
            f"{member.name} has no data and is fenced: no database is made until `ado-ops postgres "
            f"unfence {member.name}` (docs/data-runbooks.md, Both volumes are lost)."
        )
    leader, follower = members[record.primary], members[1 - record.primary]
    begins = leader.disk == "primary" and leader.fresh and not leader.waiting
    if begins and follower.server != "primary":
        yield why_not_recorded(leader)
    elif bare and kept and (kept[0].server != "primary" or kept[0] is not leader):
        yield (
            f"{RECORD} says nothing, {kept[0].name} has data and {bare[0].name} has none: `ado-ops "
            f"postgres promote {kept[0].name} --accept-loss` goes on with that, and what it lacks "
            "of a lost volume is gone."
        )
    elif bare and silent:
        yield (
            f"{RECORD} says nothing, {bare[0].name} has no data, and nobody can tell what "
            f"{silent[0].name} has ({silent[0].trouble}): a new database is made only once that "
            "says that it is empty, too (docs/data-runbooks.md, Lost record)."
        )
    elif kept or silent:
        yield (
            f"{RECORD} does not say that there is a database (docs/data-runbooks.md, Lost record)."
        )
    elif any(member.disk == "half" for member in bare):
        yield why_half(members, namespace)
    elif not fenced:
        yield why_no_database(leader, follower)


def why_not_recorded(leader: Member) -> str:
    """What a new database waits for."""
    if leader.server is None:
        return f"{leader.name} starts with a new database; wait for its end."
    return (
        f"{leader.name} has a new database, which {RECORD} does not name yet: the Job "
        f"{RECORD}-begin-… of `pulumi up` writes it down. Wait for its end; where there is none "
        "see docs/data-runbooks.md, A database is not made."
    )


def why_no_database(leader: Member, follower: Member) -> str:
    """What a pair without any data waits for."""
    if leader.waiting is None:
        return f"There is no database yet, and {leader.name} makes one; wait for its end."
    return (
        f"There is no database yet: {leader.name} makes one once {follower.name} has told it, at "
        "port 5431, that it has no data either. Wait for that; if it takes minutes see "
        "docs/data-runbooks.md, A database is not made."
    )


def why_half(members: Sequence[Member], namespace: str) -> str:
    """What a pair has of which one volume is half a database, and the other no more."""
    pod = next(member.name for member in members if member.disk == "half")
    kubectl = f"kubectl -n {namespace} delete"
    return (
        f"No volume has a whole database, and {pod} has half of one, which no server starts with: "
        f"`{kubectl} pvc data-{pod} --wait=false`, then `{kubectl} pod {pod}`, gives it an empty "
        "volume (docs/data-runbooks.md, Half a database)."
    )


def _of_fenced(leader: Member, follower: Member) -> str:
    """A primary that is to start no server; that it has ended is another matter."""
    name, back = leader.name, f"`ado-ops postgres unfence {leader.name}`"
    if leader.lost_contact and follower.server == "standby":
        return why_unknown(leader, follower, f"once that machine is back, {back} lets it serve on")
    if leader.trouble and follower.server == "standby":
        return (
            f"The primary {name} is fenced, and is not seen ({leader.trouble}): `ado-ops postgres "
            f"promote {follower.name}` waits for its end and goes on, or says what it needs to "
            f"know; {back} goes back."
        )
    if leader.trouble:
        return (
            f"The primary {name} is fenced, and is not seen ({leader.trouble}): {back} lets it "
            "serve again once it is back (docs/data-runbooks.md, A pod is not Ready)."
        )
    flag = " --accept-loss" if ahead(follower, leader) else ""
    promote = f"`ado-ops postgres promote {follower.name}{flag}`"
    other = f", or {promote}" if follower.server == "standby" else ""
    return f"The primary {name} is fenced and serves nobody: {back}{other}."


def why_unknown(leader: Member, follower: Member, back: str) -> str:
    """What a primary may do of which nobody hears, and what to do."""
    return (
        f"Nobody can tell whether the primary {leader.name} still serves: {leader.trouble}. "
        f"When that machine is switched off for certain: `ado-ops postgres promote {follower.name} "
        f"--node-is-off` (docs/data-runbooks.md, Failover); {back}."
    )


def _of_leader(leader: Member, follower: Member, namespace: str) -> Iterator[str]:
    if leader.server == "standby":
        yield (
            f"{leader.name} is not promoted yet: `ado-ops postgres promote {leader.name}` finishes "
            "it."
        )
    elif leader.server is None:
        why = leader.trouble or f"its volume is {leader.disk}"
        # A pod that nobody reaches may still serve.
        state = f"is not seen to serve ({why})" if leader.trouble else f"runs no server ({why})"
        # Of a former primary what its successor wrote is given up.
        flag = "" if follower.server == "standby" else " --accept-loss"
        if leader.disk == follower.disk == "empty":
            yield "Both volumes are empty (docs/data-runbooks.md, Both volumes are lost)."
        elif leader.is_bare and follower.is_bare and not follower.copying:
            yield why_half((leader, follower), namespace)
        elif leader.waiting or leader.is_full:
            # What filled its volume fills the standby's, too.
            yield f"The primary {leader.name} waits: {leader.waiting or why}."
        elif leader.lost_contact and follower.server == "standby":
            yield why_unknown(leader, follower, "it serves on once that machine is back")
        elif follower.server == "standby" or follower.disk == "primary":
            yield (
                f"The primary {leader.name} {state}. When it does not come back: `ado-ops postgres "
                f"promote {follower.name}{flag}`."
            )
        else:
            yield (
                f"The primary {leader.name} {state}, and {follower.name} cannot take over "
                "(docs/data-runbooks.md, A pod is not Ready)."
            )


def _of_follower(leader: Member, follower: Member, *, fenced: bool) -> Iterator[str]:
    name = follower.name
    if follower.server == "primary":
        yield (
            f"Both pods are primary! `ado-ops postgres fence {name}` now, then see "
            "docs/data-runbooks.md, Both pods are primary."
        )
    elif follower.rejoining:
        yield (
            f"A `rejoin` is at work in {name}: wait for its end, then `ado-ops postgres rejoin "
            f"{name}` once more."
        )
    elif follower.copying:
        yield f"{name} copies {leader.name}; wait for its end."
    elif follower.disk == "half":
        yield (
            f"{name} has half a database, as a rejoin that was cut off leaves it: `ado-ops "
            f"postgres rejoin {name} --reclone`."
        )
    elif follower.system and follower.system != leader.system:
        yield (
            f"The volumes have different databases. When that of {leader.name} is right: `ado-ops "
            f"postgres rejoin {name} --reclone`; else see docs/data-runbooks.md, Two databases."
        )
    else:
        yield from _of_standby(leader, follower, fenced=fenced)
    if leader.end and follower.end and leader.end - follower.end > LATE:
        yield (
            f"{name} is {leader.end - follower.end} bytes behind {leader.name}, and catches up by "
            "itself while it receives."
        )


def _of_standby(leader: Member, follower: Member, *, fenced: bool) -> Iterator[str]:
    name = follower.name
    if fenced and follower.trouble:
        yield (
            f"{name} is fenced ({follower.trouble}). Once it is back: `ado-ops postgres rejoin "
            f"{name}`."
        )
    elif fenced:
        command = "rejoin" if follower.disk == "primary" else "unfence"
        yield f"{name} is fenced: `ado-ops postgres {command} {name}`."
    elif follower.waiting and follower.disk != "primary":
        yield f"{name} waits: {follower.waiting}."
    elif follower.lost_contact:
        yield (
            f"The standby {name} is not seen: {follower.trouble}. Writes go on "
            "(docs/data-runbooks.md, A node does not answer)."
        )
    elif follower.trouble:
        yield (
            f"The standby {name} is not seen ({follower.trouble}): see docs/data-runbooks.md, A "
            "pod is not Ready."
        )
    elif ahead(follower, leader) or overtaken(leader, follower):
        return  # which was said
    elif lacks_wal(follower, leader):
        yield why_lacking(follower, leader)
    elif follower.server is None:
        yield (
            f"The standby {name} runs no server (its volume is {follower.disk}): `ado-ops postgres "
            f"rejoin {name}`."
        )
    elif not follower.streaming:
        yield (
            f"{name} receives nothing; if it still does not in a minute: `ado-ops postgres rejoin "
            f"{name}`."
        )


def _of_services(leader: Member, follower: Member, services: Mapping[str, Any]) -> Iterator[str]:
    for service, member in ((NAME, leader), (f"{NAME}-ro", follower)):
        selector = services.get(service)
        if selector is None:
            yield (
                f"There is no Service {service}: `pulumi up --refresh` makes it, and then `ado-ops "
                f"postgres promote {leader.name}` leads it."
            )
        elif selector.get(POD_LABEL) != member.name:
            yield (
                f"Service {service} does not lead to {member.name}: `ado-ops postgres promote "
                f"{leader.name}` goes on from here."
            )
