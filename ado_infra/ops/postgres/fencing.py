"""Fencing: making sure that no server runs in a pod, and that none starts there.

The flag alone stops nothing: it is read when a container starts. So the pod is deleted after it was
set, each time, and counts as stopped when its kubelet says so.
"""

from __future__ import annotations

from typing import Final

from ado_infra.ops.errors import OpsError
from ado_infra.ops.pods import Model, Namespace, Say, wait_until
from ado_infra.ops.postgres.pair import RECORD, Member, Record, look, pod_name, read_record

_MARGIN: Final = 30.0
"""Seconds for the kubelet to report, beyond what the pod is given to end."""
_RESTART: Final = 300.0
"""Seconds within which a deleted pod is back, where its volume has to follow it."""


def fence(namespace: Namespace, ordinal: int, say: Say, *, node_is_off: bool = False) -> Member:
    """Sets the flag and stops the pod; returns it as it is afterwards: without a server.

    `node_is_off`: the operator's word that a node which does not answer runs nothing.

    Raises OpsError when the pod cannot be seen to end; the flag stays set.
    """
    name, record = pod_name(ordinal), read_record(namespace)
    if ordinal not in record.fenced:
        _write(namespace, record, record.fenced | {ordinal})
        say(f"{name} is fenced from its next start on")
    pod = namespace.pod(name)
    forced = pod is not None and _stop(namespace, pod, say, node_is_off=node_is_off)
    back = wait_until(lambda: _waiting(look(namespace, ordinal)), 0 if forced else _RESTART)
    here = back or look(namespace, ordinal)
    if back or forced:
        return here
    if here.server:
        raise _nobody_knows(name, "somebody else has started it")
    if not here.trouble:
        raise _nobody_knows(name, "its script does not say that it waits, see its log")
    if pod is None and not node_is_off:
        raise _nobody_knows(name, here.trouble)
    return here


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


def _stop(namespace: Namespace, pod: Model, say: Say, *, node_is_off: bool) -> bool:
    """Ends this very pod; returns whether by force, on the operator's word alone."""
    name, node = pod.metadata.name, pod.spec.node_name
    say(f"stopping {name}")
    if not pod.metadata.deletion_timestamp:
        namespace.delete_pod(pod)

    def over() -> str | None:
        now = namespace.pod(name)
        if now is None or now.metadata.uid != pod.metadata.uid:
            return "ended"
        return None if not node or namespace.node_answers(node) else "silent"

    seconds = (pod.spec.termination_grace_period_seconds or 0) + _MARGIN
    outcome = wait_until(over, seconds)
    if outcome == "ended":
        return False
    if outcome == "silent" and node_is_off:
        namespace.delete_pod(pod, force=True)
        return True
    why = f"its node {node} does not answer" if outcome else f"it did not end in {seconds:.0f} s"
    raise _nobody_knows(name, why)


def _nobody_knows(name: str, why: str) -> OpsError:
    return OpsError(
        f"Nobody can tell whether {name} still runs: {why}. When the machine is switched off for "
        "certain, say so with --node-is-off. The fence stays set; `unfence` goes back."
    )
