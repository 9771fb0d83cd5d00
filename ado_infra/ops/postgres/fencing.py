"""Fencing: making sure that no server runs in a pod, and that none starts there.

The flag alone stops nothing: it is read when a container starts. So the pod is deleted after it was
set, each time. That its object is gone proves nothing: whoever deletes a node, or a pod by force,
leaves its containers running. Proof is what the kubelet itself has said, that every container of
the pod has ended; or a successor that says that it waits, with the volume. Anything else is the
operator's word.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Model, Namespace, Say, have_ended, have_started, wait_until
from ado_infra.ops.postgres.pair import RECORD, Member, Record, look, pod_name, read_record

_MARGIN: Final = 30.0
"""Seconds for the kubelet to report, beyond what the pod is given to end."""
_GLANCE: Final = 2.0
"""Seconds between two looks at the node of a pod that is to end."""
_RESTART: Final = 300.0
"""Seconds within which a deleted pod is back, where its volume has to follow it."""
_SUCCESSOR: Final = 60.0
"""Seconds for a pod that was made already to start and to say that it waits."""


def fence(
    namespace: Namespace, ordinal: int, say: Say, *, node_is_off: bool = False, goes_on: str = ""
) -> tuple[Member, Record]:
    """Sets the flag and stops the pod.

    `node_is_off`: the operator's word that where it ran nothing runs any more. `goes_on`: which
    command is told that word where it is needed; none where this one does it all.

    Returns the pod as it is afterwards, without a server, and the record since which that holds:
    who builds on it writes the record of that version only.

    Raises OpsError when the pod cannot be seen to end; the flag stays set.
    """
    name, record = pod_name(ordinal), read_record(namespace)
    if ordinal not in record.fenced:
        _write(namespace, record, record.fenced | {ordinal})
        say(f"{name} is fenced from its next start on")
        record = read_record(namespace)
    pod = namespace.pod(name)
    unknown = partial(_nobody_knows, name, goes_on or f"fence {name}")
    doubt = _stop(namespace, pod, say, unknown, node_is_off=node_is_off)
    if doubt and node_is_off and not (here := look(namespace, ordinal)).server:
        return here, record
    seconds = _SUCCESSOR if doubt else _RESTART
    say(f"waiting until {name} has started without a server: at most {seconds:.0f} s")
    here = wait_until(lambda: _waiting(look(namespace, ordinal)), seconds)
    if here:
        return here, record
    here = look(namespace, ordinal)
    if here.server:
        raise unknown("somebody else has started it", way="see `ado-ops postgres status`")
    if not here.trouble:
        raise unknown("its script does not say that it waits", way="see its log")
    if doubt:
        raise unknown(doubt)
    say(f"{name} has ended, and does not start: {here.trouble}")
    return here, record


def unfence(namespace: Namespace, ordinal: int, say: Say) -> None:
    """Takes the flag away; the pod's script looks at the record anew and goes on by itself."""
    record = read_record(namespace)
    if ordinal in record.fenced:
        _write(namespace, record, record.fenced - {ordinal})
        say(f"{pod_name(ordinal)} is no longer fenced")
    namespace.poke(pod_name(ordinal))


def _write(namespace: Namespace, record: Record, fenced: frozenset[int]) -> None:
    text = " ".join(str(ordinal) for ordinal in sorted(fenced))
    # On what was read: two commands at once must not take each other's flag away.
    namespace.patch_config_map(RECORD, {"fenced": text or None}, version=record.version)


def _waiting(member: Member) -> Member | None:
    return member if member.fenced and not member.server else None


def _stop(
    namespace: Namespace,
    pod: Model | None,
    say: Say,
    unknown: Callable[..., OpsError],
    *,
    node_is_off: bool,
) -> str:
    """Ends this very pod; returns why that proves nothing, or nothing when it does.

    Raises OpsError when it does not end, and the operator has not said that its node is off.
    """
    if pod is None:
        return "there is no such pod, and where the one before it ran is not known"
    # One that has not started is deleted too: it may have the record from before the flag.
    doubt = (
        ""
        if have_started(pod)
        else "it had not started, and where the one before it ran is not known"
    )
    name, node = pod.metadata.name, pod.spec.node_name
    say(f"stopping {name}")
    looks = namespace.looks_at(pod, _GLANCE)
    next(looks)
    if not pod.metadata.deletion_timestamp:
        namespace.delete_pod(pod)
    deadline = time.monotonic() + (pod.spec.termination_grace_period_seconds or 0) + _MARGIN
    while not (last := next(looks)):
        answers = namespace.node_answers(node) if node else None
        late = time.monotonic() > deadline
        if (answers is False or late) and answers is not True and node_is_off:
            namespace.delete_pod(pod, force=True)
            return "its node is said to be off"
        if answers is False:
            raise unknown(f"its node {node} does not answer")
        if late:
            way = "wait, and try again" if answers else ""
            raise unknown("it has not ended in time", way=way)
    return doubt or ("" if have_ended(last) else f"it was deleted without a word from node {node}")


def _nobody_knows(name: str, goes_on: str, why: str, way: str = "") -> OpsError:
    off = (
        "when that machine is switched off for certain, "
        f"`ado-ops postgres {goes_on} --node-is-off` goes on"
    )
    return OpsError(
        f"Nobody can tell whether {name} still runs: {why}; {way or off}. The fence stays set; "
        f"`ado-ops postgres unfence {name}` goes back."
    )
