"""Making a pod that was the primary, or whose data is of no use, the standby again."""

from __future__ import annotations

import time
from typing import Final

from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import POLL, Namespace, Say, wait_until
from ado_infra.ops.postgres.fencing import fence, unfence
from ado_infra.ops.postgres.pair import (
    RECORD,
    Member,
    ahead,
    lacks_wal,
    look,
    overtaken,
    pod_name,
    read_record,
    why_lacking,
)

FOLLOW: Final = 300.0
"""Seconds for a pod to receive WAL, from when it was rewound or its copy last grew."""
SEEN: Final = 120.0
"""Seconds for the kubelet to bring a changed record into a pod."""
REWIND: Final = 3600.0
"""Seconds for `pg_rewind`."""
_SCRIPT: Final = 'exec /bin/sh "$CONFIG/rejoin.sh" "$1"'


def rejoin(
    namespace: Namespace,
    ordinal: int,
    say: Say,
    *,
    reclone: bool = False,
    accept_loss: bool = False,
) -> bool:
    """Makes a pod follow the primary: by pg_rewind, or by a new copy of everything.

    What its volume has and the primary lacks is gone then; of a standby only with `accept_loss`.
    Returns whether anything was done.

    Raises OpsError when there is no primary to follow, or when the pod cannot.
    """
    leader = look(namespace, 1 - ordinal)
    if read_record(namespace).primary == ordinal:
        raise OpsError(
            f"{pod_name(ordinal)} is the primary by {RECORD}, and follows nobody. Was `ado-ops "
            f"postgres rejoin {leader.name}` meant?"
        )
    if leader.server != "primary":
        raise OpsError(
            f"{pod_name(ordinal)} has no primary to follow: {leader.name} "
            f"{'is ' + leader.server if leader.server else 'runs no server'}; see `ado-ops "
            "postgres status`."
        )
    here = look(namespace, ordinal)
    if not reclone:
        _refuse_to_rewind(here, leader)
    # The leader once more: it has written since.
    if (more := ahead(here, look(namespace, leader.ordinal))) and not accept_loss:
        raise OpsError(
            f"{here.name} has {more} bytes that {leader.name} lacks, which was rolled back: "
            f"`ado-ops postgres promote {here.name} --accept-loss` keeps them, --accept-loss here "
            "gives them up."
        )
    if overtaken(leader, here) and not accept_loss:
        raise OpsError(
            f"{here.name} is on a later timeline than {leader.name}, which was rolled back: "
            f"`ado-ops postgres promote {here.name} --accept-loss` keeps that, --accept-loss here "
            "gives it up."
        )
    if here.streaming and not reclone:
        unfence(namespace, ordinal, say)
        return False
    if here.rejoining:
        raise OpsError(
            f"Another rejoin is at work in {here.name}; wait for its end, see `ado-ops postgres "
            "status`."
        )
    here, _ = fence(namespace, ordinal, say)
    if here.trouble:
        raise OpsError(f"{here.name} cannot be reached: {here.trouble}")
    namespace.poke(here.name)
    if not wait_until(lambda: look(namespace, ordinal).sees == leader.ordinal, SEEN):
        raise OpsError(f"{here.name} does not see that {leader.name} is the primary; try again.")
    way = "reclone" if reclone else "rewind"
    script = ("/bin/sh", "-c", _SCRIPT, "sh", way)
    namespace.run(here.name, script, seconds=REWIND, changes=True)
    empty = reclone or here.disk == "empty"
    say(f"{here.name}'s volume is {'empty' if empty else 'that of a standby'} now")
    unfence(namespace, ordinal, say)
    say(f"waiting until {here.name} follows {leader.name}")
    _see_it_follow(namespace, ordinal)
    return True


def _refuse_to_rewind(here: Member, leader: Member) -> None:
    """Raises OpsError where nothing but a new copy helps."""
    if here.needs_copy:
        raise OpsError(f"{here.name} waits: {here.waiting}.")
    if here.disk == "half" and not here.rejoining:
        raise OpsError(
            f"{here.name} has half a database, as a rejoin that was cut off leaves it: `ado-ops "
            f"postgres rejoin {here.name} --reclone`."
        )
    if here.system and here.system != leader.system:
        raise OpsError(
            f"{here.name} has another database than {leader.name}: --reclone gives it up; see "
            "docs/data-runbooks.md, Two databases."
        )
    if lacks_wal(here, leader) and not (ahead(here, leader) or overtaken(leader, here)):
        raise OpsError(why_lacking(here, leader))


def _see_it_follow(namespace: Namespace, ordinal: int) -> None:
    """Raises OpsError when it does not, though no copy is growing."""
    deadline = time.monotonic() + FOLLOW
    while not (here := look(namespace, ordinal)).streaming:
        if here.copying:
            deadline = time.monotonic() + FOLLOW
        if time.monotonic() > deadline:
            why = here.waiting or f"`kubectl logs {here.name}` says why"
            raise OpsError(f"{here.name} does not follow yet: {why}.")
        time.sleep(POLL)
