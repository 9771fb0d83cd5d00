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
    pod_name,
    why_blocked,
)

LATE = 64 * 2**20
"""Bytes that a standby may be behind before it is called late: four segments of WAL."""

ROOM = 256
"""Mebibytes free on a volume below which it is called full: a primary ends without WAL to write."""


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


def _behind(leader: Member, member: Member) -> str:
    if member is leader or member.end is None or leader.end is None:
        return "-"
    return f"{max(0, leader.end - member.end)} B"


def findings(
    record: Record, members: Sequence[Member], services: Mapping[str, Any]
) -> Iterator[str]:
    """What is not as it should be, each with what to do; nothing when all is well."""
    if not record.initialised:
        yield (
            f"{RECORD} does not say that there is a database (docs/data-runbooks.md, Lost record)."
        )
        return  # until then nothing else helps
    yield from (
        f"The volume of {member.name} has only {member.room} MiB free "
        "(docs/data-runbooks.md, Growing a volume)."
        for member in members
        if _is_full(member)
    )
    yield from (why_blocked(member) for member in members if member.blocked)
    leader, follower = members[record.primary], members[1 - record.primary]
    if len({m.system for m in members if m.system}) > 1:
        yield f"The volumes have different databases: `rejoin {follower.name} --reclone`."
    if [m.server for m in members] == ["primary", "primary"]:
        yield (
            f"Both pods are primary! `fence {follower.name}` now, then see docs/data-runbooks.md, "
            "Both pods are primary."
        )
    if leader.ordinal in record.fenced:
        other = f", or `promote {follower.name}`" if follower.server == "standby" else ""
        yield (
            f"The primary {leader.name} is fenced and serves nobody: "
            f"`unfence {leader.name}`{other}."
        )
    elif more := ahead(follower, leader):
        yield (
            f"{follower.name} has {more} bytes that the primary {leader.name} lacks, which was "
            f"rolled back: `promote {follower.name} --accept-loss` keeps them."
        )
    else:
        yield from _of_leader(leader, follower)
        yield from _of_follower(leader, follower)
    if follower.ordinal in record.fenced:
        yield (
            f"{follower.name} is fenced: `rejoin {follower.name}`, or when it was a standby all "
            f"along `unfence {follower.name}`."
        )
    for service, ordinal in ((NAME, record.primary), (f"{NAME}-ro", 1 - record.primary)):
        if (services.get(service) or {}).get(POD_LABEL) != pod_name(ordinal):
            yield (
                f"Service {service} does not lead to {pod_name(ordinal)}: "
                f"`promote {leader.name}` goes on from here."
            )


def _is_full(member: Member) -> bool:
    return member.room is not None and member.room < ROOM


def _of_leader(leader: Member, follower: Member) -> Iterator[str]:
    if leader.server == "standby":
        yield f"{leader.name} is not promoted yet: `promote {leader.name}` finishes it."
    elif leader.server is None:
        why = leader.trouble or leader.waiting or f"its volume is {leader.disk}"
        # What filled its volume fills the standby's, too.
        way = "" if _is_full(leader) else f" When it does not come back: `promote {follower.name}`."
        yield f"The primary {leader.name} runs no server ({why}).{way}"


def _of_follower(leader: Member, follower: Member) -> Iterator[str]:
    if follower.copying:
        yield f"{follower.name} copies {leader.name}; wait for its end."
    elif follower.waiting and not follower.fenced and follower.disk != "primary":
        yield f"{follower.name} waits: {follower.waiting}."
    elif follower.server is None:
        why = follower.trouble or f"its volume is {follower.disk}"
        yield f"The standby {follower.name} runs no server ({why}): `rejoin {follower.name}`."
    elif follower.server == "standby" and leader.server == "primary" and not follower.streaming:
        lost = leader.slot == "lost"
        flag = " --reclone" if lost else ""
        yield (
            f"{follower.name} receives nothing; if it still does not in a minute: "
            f"`rejoin {follower.name}{flag}`."
        )
    if leader.end and follower.end and leader.end - follower.end > LATE:
        yield f"{follower.name} is {leader.end - follower.end} bytes behind {leader.name}."
