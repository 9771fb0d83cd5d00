"""Making the standby the primary, in steps that can each be taken twice.

Fence the old primary, see what the standby has received, write the record, promote, move the
Services. Interrupted anywhere, the same command goes on: every step looks before it acts, and at no
point may two pods be primary.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Namespace, Say, wait_until
from ado_infra.ops.postgres.fencing import fence, unfence
from ado_infra.ops.postgres.pair import (
    NAME,
    POD_LABEL,
    RECORD,
    Member,
    ahead,
    look,
    pod_name,
    read_record,
    why_blocked,
)

_REPLAY: Final = 60
"""Seconds for a standby to replay what it has received."""
_READING: Final = 300
"""Seconds for the WAL that a stopped primary has written since its last checkpoint."""
_SLOT: Final = """
SELECT pg_create_physical_replication_slot('{slot}', true)
WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{slot}')"""
_PSQL: Final = (
    'exec psql --no-psqlrc --quiet --no-align --tuples-only --host "$SOCKET" --username postgres '
    '--dbname postgres --set ON_ERROR_STOP=1 --command "$1"'
)


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What a promotion has come to.

    Attributes:
        primary: Name of the pod that is the primary now.
        lost: Bytes of WAL that the old primary had written and the new one never got; None when
            the old one's disk could not be asked.
        seconds: From the fence to the moved Services; 0.0 when there was nothing to do.
    """

    primary: str
    lost: int | None
    seconds: float


def promote(
    namespace: Namespace,
    target: int,
    say: Say,
    *,
    node_is_off: bool = False,
    accept_loss: bool = False,
) -> Promotion:
    """Makes pod `target` the primary.

    Raises OpsError when it cannot, or when `accept_loss` is missing for what would be lost.
    """
    began = time.monotonic()
    here, known = candidate(namespace, target), read_record(namespace)
    if here.server == "primary" and known.initialised and known.primary == target:
        _promote(namespace, target, say)  # what a promotion that was cut off left to do
        _move_services(namespace, target, say)
        return Promotion(primary=here.name, lost=0, seconds=0.0)
    typed = f"promote {here.name}" + (" --accept-loss" if accept_loss else "")
    old, record = fence(namespace, 1 - target, say, node_is_off=node_is_off, goes_on=typed)
    if old.unread:  # it may be gigabytes
        old = look(namespace, old.ordinal, _READING)
    here = look(namespace, target)
    if here.blocked:
        why = why_blocked(here, namespace.name)
        raise OpsError(
            f"{why} {old.name} is fenced; `ado-ops postgres unfence {old.name}` goes back."
        )
    lost = _loss(old, here, say, accepted=accept_loss, excused=accept_loss or node_is_off)
    if record.primary != target or not record.initialised:
        written: dict[str, str | None] = {"primary": str(target)}
        if not record.initialised:
            written["initialised"] = "true"  # together: nobody makes a new database in between
        # Of that version alone: a fence that was lifted meanwhile, and set again, fences nothing.
        namespace.patch_config_map(RECORD, written, version=record.version)
        say(f"{RECORD} says now that {here.name} is the primary")
    _promote(namespace, target, say)
    _move_services(namespace, target, say)
    return Promotion(primary=here.name, lost=lost, seconds=time.monotonic() - began)


def candidate(namespace: Namespace, target: int) -> Member:
    """The pod that is to become the primary, once it was seen that it can.

    A standby that runs; or a former primary that waits, when its successor serves no more; or
    where the record was lost, and no primary serves, whichever pod has data.

    Raises OpsError when it cannot.
    """
    recorded, here = read_record(namespace).initialised, look(namespace, target)
    other = look(namespace, 1 - target)
    serves = "primary" in {here.server, other.server}
    if not recorded and serves and not (here.is_bare or other.is_bare):
        raise OpsError(
            f"{RECORD} does not say that there is a database: run `pulumi up` once more, or see "
            "docs/data-runbooks.md, Lost record."
        )
    with_data = {"primary"} if recorded else {"primary", "standby"}
    if here.server is None and here.disk not in with_data:
        reason = here.trouble or f"its volume is {here.disk}, and no server runs"
        raise OpsError(f"{here.name} cannot become the primary: {reason}.")
    if here.blocked:
        raise OpsError(why_blocked(here, namespace.name))
    if here.server is None and other.server == "primary":
        raise OpsError(
            f"{here.name} has older data than {pod_name(1 - target)}, which is the primary and "
            f"serves: `ado-ops postgres rejoin {here.name}`, and promote it then."
        )
    return here


def steps(target: int) -> list[str]:
    """What `promote` does, for people."""
    new, old = pod_name(target), pod_name(1 - target)
    return [
        f"fence {old}: set the flag, delete the pod, see that it ended",
        f"compare what {old} had written with what {new} has received",
        f"write {new} into {RECORD}",
        f"promote {new}, and make a slot there for {old}",
        f"lead Service {NAME} to {new}, and {NAME}-ro to {old}",
    ]


def _move_services(namespace: Namespace, primary: int, say: Say) -> None:
    """Leads the Services to the pods of their roles, where they do not lead there yet."""
    _require_chosen(namespace, primary)
    for service, ordinal in ((NAME, primary), (f"{NAME}-ro", 1 - primary)):
        found = namespace.service(service)
        if found is None:
            raise OpsError(f"There is no Service {service}; `pulumi up --refresh` makes it.")
        if found.spec.selector.get(POD_LABEL) != pod_name(ordinal):
            namespace.patch_selector(service, {POD_LABEL: pod_name(ordinal)})
            say(f"Service {service} leads to {pod_name(ordinal)} now")


def _loss(old: Member, new: Member, say: Say, *, accepted: bool, excused: bool) -> int | None:
    """How many bytes would be lost: `accepted` when known, `excused` when nobody can tell."""
    reason = _incomparable(old, new)
    if reason or old.end is None or new.end is None:
        if not (accepted if reason else excused):
            reason = reason or old.trouble or old.unread or f"its volume is {old.disk}"
            raise OpsError(
                f"Nobody can tell what {old.name} had written and {new.name} has not received: "
                f"{reason}. With --accept-loss that is given up. {old.name} is fenced; `ado-ops "
                f"postgres unfence {old.name}` goes back."
            )
        return None
    lost = max(0, old.end - new.end)
    say(f"{new.name} lacks {lost} bytes of what {old.name} had written")
    if lost and not accepted:
        raise OpsError(
            f"{lost} bytes of WAL of {old.name} never reached {new.name}. To keep them, `ado-ops "
            f"postgres unfence {old.name}` goes back; with --accept-loss they are given up."
        )
    return lost


def _incomparable(old: Member, new: Member) -> str | None:
    """Why the ends of their WAL say nothing of each other."""
    if new.server is None:
        return f"{new.name} did not follow {old.name}"
    if old.system and old.system != new.system:
        return "they have different databases"
    if more := ahead(new, old):
        return f"{old.name} was rolled back to {more} bytes before that, and may have written since"
    if old.timeline and new.timeline and old.timeline > new.timeline:
        return f"timeline {old.timeline} never reached {new.name}"
    return None


def _require_chosen(namespace: Namespace, target: int) -> None:
    """Raises OpsError when somebody else has chosen another primary, while this one waited."""
    primary = read_record(namespace).primary
    if primary != target:
        raise OpsError(
            f"By {RECORD} {pod_name(primary)} is the primary now: somebody else has promoted it "
            "meanwhile. Nothing more was done; see `ado-ops postgres status`."
        )


def _promote(namespace: Namespace, target: int, say: Say) -> None:
    name = pod_name(target)
    _require_chosen(namespace, target)
    unfence(namespace, target, say)
    # One that the record was lost of starts only now.
    stands_by = wait_until(lambda: look(namespace, target).server, _REPLAY) == "standby"
    if stands_by:
        _require_chosen(namespace, target)
        _ask(namespace, target, f"SELECT pg_promote(wait => true, wait_seconds => {_REPLAY})")
    if not wait_until(lambda: look(namespace, target).server == "primary", _REPLAY):
        raise OpsError(f"{name} is not promoted after {_REPLAY} s; the same command goes on.")
    if stands_by:
        say(f"{name} is promoted")
    # Keeps what the old one will need to follow; bounded by max_slot_wal_keep_size.
    _ask(namespace, target, _SLOT.format(slot=f"{NAME}_{1 - target}"))


def _ask(namespace: Namespace, ordinal: int, sql: str) -> str:
    """What the server of a pod answers to its superuser; nothing secret may be in `sql`."""
    command = ("/bin/sh", "-c", _PSQL, "sh", sql)
    seconds = _REPLAY + 30
    return namespace.run(pod_name(ordinal), command, seconds=seconds, changes=True).strip()
