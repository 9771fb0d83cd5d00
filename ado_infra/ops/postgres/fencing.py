"""Fencing: making sure that no server runs in a pod, and that none starts there.

The flag alone stops nothing: it is read when a container starts. So the pod is deleted after it was
set, and counts as stopped when its kubelet says so, or when its successor tells that it waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ado_infra.ops.errors import OpsError
from ado_infra.ops.pods import Model, Namespace, wait_until
from ado_infra.ops.postgres.pair import RECORD, Member, look, pod_name, read_record

Say = Callable[[str], None]
_MARGIN: Final = 30.0
"""Seconds for the kubelet to report, beyond what the pod is given to end."""
_RESTART: Final = 60.0
"""Seconds within which a deleted pod is back, where its node answers."""


def fence(namespace: Namespace, ordinal: int, say: Say, *, node_is_off: bool = False) -> Member:
    """Sets the flag and stops the pod; returns it as it is afterwards.

    `node_is_off`: the operator's word that a node which does not answer runs nothing.

    Raises OpsError when the pod cannot be seen to end; the flag stays set.
    """
    name = pod_name(ordinal)
    fenced = read_record(namespace).fenced
    if ordinal not in fenced:
        _write(namespace, fenced | {ordinal})
        say(f"{name} is fenced from its next start on")
    here = look(namespace, ordinal)
    if here.fenced and not here.server:
        return here
    pod = namespace.pod(name)
    if pod is not None:
        say(f"stopping {name}")
        _stop(namespace, pod, node_is_off=node_is_off)
    back = wait_until(lambda: _waiting(look(namespace, ordinal)), 0 if node_is_off else _RESTART)
    return back or look(namespace, ordinal)


def unfence(namespace: Namespace, ordinal: int, say: Say) -> None:
    """Takes the flag away; the pod's script looks at the record anew and goes on by itself."""
    fenced = read_record(namespace).fenced
    if ordinal in fenced:
        _write(namespace, fenced - {ordinal})
        say(f"{pod_name(ordinal)} is no longer fenced")
    if namespace.pod(pod_name(ordinal)) is not None:
        namespace.poke(pod_name(ordinal))


def _write(namespace: Namespace, fenced: frozenset[int]) -> None:
    text = " ".join(str(ordinal) for ordinal in sorted(fenced))
    namespace.patch_config_map(RECORD, {"fenced": text or None})


def _waiting(member: Member) -> Member | None:
    return member if member.fenced and not member.server else None


def _stop(namespace: Namespace, pod: Model, *, node_is_off: bool) -> None:
    name, node = pod.metadata.name, pod.spec.node_name
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
        return
    if outcome == "silent" and node_is_off:
        namespace.delete_pod(pod, force=True)
        return
    why = f"its node {node} does not answer" if outcome else f"it did not end in {seconds:.0f} s"
    raise OpsError(
        f"Nobody can tell whether {name} still runs: {why}. When the machine is switched off for "
        "certain, say so with --node-is-off. Nothing was promoted; the fence stays set."
    )
