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
            member.node or "-",
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
    record: Record, members: Sequence[Member], services: Mapping[str, Any] | None, namespace: str
) -> Iterator[str]:
    """What is not as it should be, each with what to do; nothing when all is well.

    `services`: the selectors of those that there are; None for who may not see them.

    What cannot be done yet is not said yet: a standby follows only a primary that serves.
    """
    if not record.initialised:
        yield from _of_lost_record(record, members)
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
        flag = " --accept-loss" if ahead(follower, leader) else ""
        other = f", or `promote {follower.name}{flag}`" if follower.server == "standby" else ""
        yield (
            f"The primary {leader.name} is fenced and serves nobody: "
            f"`unfence {leader.name}`{other}."
        )
    elif more := ahead(follower, leader):
        yield (
            f"{follower.name} has {more} bytes that the primary {leader.name} lacks, which was "
            f"rolled back: `promote {follower.name} --accept-loss` keeps them."
        )
    elif overtaken(leader, follower):
        yield (
            f"{follower.name} is on a later timeline than the primary {leader.name}, which was "
            f"rolled back: `promote {follower.name} --accept-loss` keeps what it has."
        )
    else:
        yield from _of_leader(leader, follower)
    if leader.server == "primary":
        yield from _of_follower(leader, follower, fenced=follower.ordinal in record.fenced)
        if services is not None:
            yield from _of_services(leader, follower, services)


def _of_lost_record(record: Record, members: Sequence[Member]) -> Iterator[str]:
    empty = [member for member in members if member.disk == "empty"]
    kept = [member for member in members if member.disk in {"primary", "standby"}]
    silent = [member for member in members if member.disk is None]
    for member in empty:
        if member.ordinal in record.fenced:
            yield (
                f"{member.name} has no data and is fenced: no database is made until `unfence "
                f"{member.name}` (docs/data-runbooks.md, Both volumes are lost)."
            )
    if empty and kept and (kept[0].server != "primary" or kept[0].ordinal != record.primary):
        yield (
            f"{RECORD} says nothing, {kept[0].name} has data and {empty[0].name} has none: "
            f"`promote {kept[0].name} --accept-loss` goes on with that, and what it lacks of a "
            "lost volume is gone."
        )
    elif empty and silent:
        yield (
            f"{RECORD} says nothing, {empty[0].name} has no data, and nobody can tell what "
            f"{silent[0].name} has ({silent[0].trouble}): a new database is made only once that "
            "says that it is empty, too (docs/data-runbooks.md, Lost record)."
        )
    else:
        yield (
            f"{RECORD} does not say that there is a database (docs/data-runbooks.md, Lost record)."
        )


def _of_leader(leader: Member, follower: Member) -> Iterator[str]:
    if leader.server == "standby":
        yield f"{leader.name} is not promoted yet: `promote {leader.name}` finishes it."
    elif leader.server is None:
        why = leader.trouble or f"its volume is {leader.disk}"
        # Of a former primary what its successor wrote is given up.
        flag = "" if follower.server == "standby" else " --accept-loss"
        if leader.disk == follower.disk == "empty":
            yield "Both volumes are empty (docs/data-runbooks.md, Both volumes are lost)."
        elif leader.waiting or leader.is_full:
            # What filled its volume fills the standby's, too.
            yield f"The primary {leader.name} waits: {leader.waiting or why}."
        elif follower.server == "standby" or follower.disk == "primary":
            yield (
                f"The primary {leader.name} runs no server ({why}). When it does not come back: "
                f"`promote {follower.name}{flag}`."
            )
        else:
            yield (
                f"The primary {leader.name} runs no server ({why}), and {follower.name} cannot "
                "take over (docs/data-runbooks.md, A pod is not Ready)."
            )


def _of_follower(leader: Member, follower: Member, *, fenced: bool) -> Iterator[str]:
    name = follower.name
    if follower.server == "primary":
        yield (
            f"Both pods are primary! `fence {name}` now, then see docs/data-runbooks.md, Both pods "
            "are primary."
        )
    elif follower.rejoining:
        yield f"A `rejoin` is at work in {name}: wait for its end, then `rejoin {name}` once more."
    elif follower.copying:
        yield f"{name} copies {leader.name}; wait for its end."
    elif follower.disk == "half":
        yield f"A rejoin was cut off in {name}: `rejoin {name} --reclone`."
    elif follower.system and follower.system != leader.system:
        yield (
            f"The volumes have different databases. When that of {leader.name} is right: `rejoin "
            f"{name} --reclone`; else see docs/data-runbooks.md, Two databases."
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
        yield f"{name} is fenced ({follower.trouble}). Once it is back: `rejoin {name}`."
    elif fenced:
        command = "rejoin" if follower.disk == "primary" else "unfence"
        yield f"{name} is fenced: `{command} {name}`."
    elif follower.waiting and follower.disk != "primary":
        yield f"{name} waits: {follower.waiting}."
    elif follower.trouble:
        yield (
            f"The standby {name} runs no server ({follower.trouble}): see docs/data-runbooks.md, A "
            "pod is not Ready."
        )
    elif ahead(follower, leader) or overtaken(leader, follower):
        return  # which was said
    elif lacks_wal(follower, leader):
        yield why_lacking(follower, leader)
    elif follower.server is None:
        yield f"The standby {name} runs no server (its volume is {follower.disk}): `rejoin {name}`."
    elif not follower.streaming:
        yield f"{name} receives nothing; if it still does not in a minute: `rejoin {name}`."


def _of_services(leader: Member, follower: Member, services: Mapping[str, Any]) -> Iterator[str]:
    for service, member in ((NAME, leader), (f"{NAME}-ro", follower)):
        selector = services.get(service)
        if selector is None:
            yield (
                f"There is no Service {service}: `pulumi up --refresh` makes it, and then "
                f"`promote {leader.name}` leads it."
            )
        elif selector.get(POD_LABEL) != member.name:
            yield (
                f"Service {service} does not lead to {member.name}: "
                f"`promote {leader.name}` goes on from here."
            )
