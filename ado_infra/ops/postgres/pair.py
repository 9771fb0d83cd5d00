"""The two PostgreSQL pods as they are: the record of roles, each disk, each server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Namespace, not_running, phase_of

NAME: Final = "postgresql"
RECORD: Final = "postgresql-state"
POD_LABEL: Final = "statefulset.kubernetes.io/pod-name"
PAGE: Final = 8192
"""Bytes of a page of WAL: where that of a stopped server ends may be known by the page alone."""
_REVISION: Final = "controller-revision-hash"
_ORDINALS: Final = {"0": 0, "1": 1}
"""As the record has them."""
_LOOK: Final = ("/bin/sh", "-c", 'exec /bin/sh "$CONFIG/look.sh" "$1"', "sh")


@dataclass(frozen=True, kw_only=True)
class Record:
    """ConfigMap `postgresql-state`.

    Attributes:
        initialised: Whether there is a database.
        primary: Ordinal of the pod that may be the primary.
        fenced: Ordinals of the pods that may not start a server.
        version: Which state of the object that is, for a change that builds on it.
    """

    initialised: bool
    primary: int
    fenced: frozenset[int]
    version: str = ""


ROOM: Final = 256
"""Mebibytes free on a volume below which it is called full: a primary ends without WAL to write."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One of the two pods; what cannot be told is None.

    Attributes:
        ordinal: Its ordinal.
        phase: Phase of the pod, or `absent`.
        ready: Whether it is Ready.
        node: Where it runs.
        revision: Which of the StatefulSet's templates it was made from.
        disk: What the volume was last used as: `empty`, `half`, `standby`, `primary`.
        fresh: Whether the pod, with data, never saw a record that says so.
        server: What the server is: `standby`, `primary`; None when none runs.
        sees: Who is the primary by the record as the pod itself sees it, up to a minute late.
        fenced: Whether the pod's script waits because of that.
        waiting: What its script waits for, with what to do about it where somebody has to.
        needs_copy: Whether nothing but a new copy of everything ends that.
        copying: Whether it copies its primary, and the copy grows.
        rejoining: Whether a `rejoin` is at work in the pod.
        system: Which database it is.
        timeline: The newest timeline that it has WAL of.
        end: Where its WAL ends, in bytes.
        oldest: Where the WAL begins that a server still has, in bytes.
        asked: Whether a standby has asked its primary for WAL since it started.
        streaming: Whether a standby receives WAL.
        blocked: Whether a standby replays nothing more, and cannot be promoted, because it allows
            fewer connections than its primary.
        slot: State of the slot that a primary keeps for its peer.
        room: Mebibytes that its volume has free.
        unread: Why it is not known where the WAL of a stopped one ends.
        trouble: Why nothing can be told.
        lost_contact: Whether that is because nothing is heard of its node, where it may run on.
    """

    ordinal: int
    phase: str = "absent"
    ready: bool = False
    node: str | None = None
    revision: str | None = None
    disk: str | None = None
    fresh: bool = False
    server: str | None = None
    sees: int | None = None
    fenced: bool = False
    waiting: str | None = None
    needs_copy: bool = False
    copying: bool = False
    rejoining: bool = False
    system: str | None = None
    timeline: int | None = None
    end: int | None = None
    oldest: int | None = None
    asked: bool = False
    streaming: bool = False
    blocked: bool = False
    slot: str | None = None
    room: int | None = None
    unread: str | None = None
    trouble: str | None = None
    lost_contact: bool = False

    @property
    def is_full(self) -> bool:
        """Whether there is hardly any room left on its volume."""
        return self.room is not None and self.room < ROOM

    @property
    def is_bare(self) -> bool:
        """Whether its volume has nothing that a server starts with."""
        return self.disk in {"empty", "half"}

    @property
    def name(self) -> str:
        """Name of the pod."""
        return pod_name(self.ordinal)


def pod_name(ordinal: int) -> str:
    """`postgresql-0` or `postgresql-1`."""
    return f"{NAME}-{ordinal}"


def ordinal_of(pod: str) -> int:
    """The ordinal of a pod that the operator named, by its name or by the ordinal alone.

    Raises OpsError for anything else.
    """
    known = {name: ordinal for ordinal in (0, 1) for name in (str(ordinal), pod_name(ordinal))}
    if pod not in known:
        raise OpsError(f"{pod} is no pod of PostgreSQL: they are {pod_name(0)} and {pod_name(1)}.")
    return known[pod]


def ahead(standby: Member, primary: Member) -> int:
    """Bytes that a standby has and its primary lacks, which was rolled back then; 0 for none.

    A standby that receives has nothing that its primary lacks: it was asked later.
    """
    same = (standby.system, standby.timeline) == (primary.system, primary.timeline)
    if not same or standby.streaming or standby.end is None or primary.end is None:
        return 0
    more = standby.end - primary.end
    return more if more > PAGE else 0


def overtaken(primary: Member, standby: Member) -> bool:
    """Whether a primary that serves was rolled back to before its standby's timeline began."""
    return (
        primary.system == standby.system
        and (primary.server, standby.server) == ("primary", "standby")
        and not standby.streaming
        and (primary.timeline or 0) < (standby.timeline or 0)
    )


def lacks_wal(standby: Member, primary: Member) -> bool:
    """Whether only `--reclone` lets a pod follow: its volume is older than its slot.

    Where the slot is lost, or not there, a standby that starts anew sees that by itself, and copies
    while what it has stays; a former primary cannot be rewound. A server that has not asked for WAL
    yet still replays its own.
    """
    if standby.streaming or standby.disk not in {"standby", "primary"}:
        return False
    if standby.system != primary.system:
        return False
    if primary.slot in {None, "lost"}:
        return primary.slot == "lost" and standby.disk == "primary"
    if standby.server == "standby" and not standby.asked:
        return False
    return None not in {standby.end, primary.oldest} and (standby.end or 0) < (primary.oldest or 0)


def why_lacking(standby: Member, primary: Member) -> str:
    """What that means, and what to do."""
    return (
        f"{standby.name} lacks WAL that {primary.name} has given up: `ado-ops postgres rejoin "
        f"{standby.name} --reclone` deletes what it has and copies all of the database; until that "
        f"is whole {primary.name} has the only copy."
    )


def why_blocked(member: Member, namespace: str) -> str:
    """What a standby that is `blocked` cannot do, and what to do."""
    return (
        f"{member.name} cannot be promoted yet: it replays nothing more, because it allows "
        f"fewer connections than its primary. `kubectl -n {namespace} delete pod {member.name}` "
        "starts it anew with more."
    )


def position(text: str | None) -> int | None:
    """A position in the WAL, such as `3/A000060`, in bytes; None for none."""
    if not text:
        return None
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def read_record(namespace: Namespace) -> Record:
    """The record as it is.

    Raises OpsError when there is none: PostgreSQL is not deployed here, or lost it; and when it
    names a pod that there is not.
    """
    config_map = namespace.config_map(RECORD)
    if config_map is None:
        raise OpsError(
            f"There is no ConfigMap {RECORD} in namespace {namespace.name}: PostgreSQL is not "
            "deployed there, or its record was deleted: `pulumi up --refresh` makes it anew, "
            "empty, and docs/data-runbooks.md, Lost record, says what to write down then."
        )
    data: dict[str, str] = config_map.data or {}
    primary, fenced = data.get("primary", "0"), data.get("fenced", "").split()
    if not {primary, *fenced} <= _ORDINALS.keys():
        raise OpsError(
            f"{RECORD} names no pod: `primary` is {primary!r}, `fenced` {' '.join(fenced)!r}. Pods "
            "are written as 0 and 1 there; see docs/data-runbooks.md, Lost record."
        )
    return Record(
        initialised=data.get("initialised") == "true",
        primary=_ORDINALS[primary],
        fenced=frozenset(_ORDINALS[ordinal] for ordinal in fenced),
        version=config_map.metadata.resource_version,
    )


def look(namespace: Namespace, ordinal: int, reading: int = 10) -> Member:
    """One pod, as it tells of itself.

    `reading`: seconds that it may take to find the end of the WAL of a server that does not run.
    """
    pod = namespace.pod(pod_name(ordinal))
    if pod is None:
        return Member(ordinal=ordinal, trouble="there is no such pod")
    phase, ready = phase_of(pod)
    revision = (pod.metadata.labels or {}).get(_REVISION)
    known = Member(
        ordinal=ordinal, phase=phase, ready=ready, node=pod.spec.node_name, revision=revision
    )
    if known.node and namespace.lost_contact(known.node):
        # To ask all the same takes long, and is in vain.
        return replace(known, trouble=f"its node {known.node} does not answer", lost_contact=True)
    if trouble := not_running(pod):
        return replace(known, trouble=trouble)
    try:
        said = namespace.run(pod_name(ordinal), (*_LOOK, str(reading)), seconds=reading + 20)
    except OpsError as silent:
        return replace(known, trouble=str(silent))
    told = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return replace(
        known,
        disk=told["disk"],
        fresh="fresh" in told,
        server=told.get("server"),
        sees=_ORDINALS.get(told["primary"]),
        fenced="fenced" in told,
        waiting=told.get("waiting"),
        needs_copy="needs_copy" in told,
        copying="copying" in told,
        rejoining="rejoining" in told,
        system=told.get("system"),
        timeline=int(told["timeline"]) if told.get("timeline") else None,
        end=position(told.get("end")),
        oldest=position(told.get("oldest")),
        asked="asked" in told,
        streaming="streaming" in told,
        blocked="blocked" in told,
        slot=told.get("slot"),
        room=int(told["room"]) if told.get("room") else None,
        unread=told.get("unread"),
    )
