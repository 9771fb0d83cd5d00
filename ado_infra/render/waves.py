"""In which order objects may be made, for who has no engine: Argo CD's sync waves.

A wave begins when all of those before it are healthy. So what depends on pods, or on a Job, is in
a later wave than they; what depends on anything else may be in the same one, where Argo CD has an
order of kinds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ado_infra.render.monitor import Registration

ANNOTATION: Final = "argocd.argoproj.io/sync-wave"
_AWAITED: Final = frozenset({"DaemonSet", "Deployment", "Job", "Pod", "StatefulSet"})
"""What becomes healthy by what its pods do."""
_LAST: Final = frozenset({"HorizontalPodAutoscaler", "Ingress"})
"""What becomes healthy by what others in the cluster do, and may never: no wave waits for it."""


def waves(registrations: Sequence[Registration], kinds: Mapping[str, str]) -> dict[str, int]:
    """The wave of each object; `kinds`: URN of an object → its kind.

    An object depends on what it or one of its components was registered to depend on.
    """
    known = {each.urn: each for each in registrations}
    by_urn: dict[str, int] = {}

    def wave(urn: str) -> int:
        """Of a component, a wave in which all that it depends on is there."""
        if urn not in known:  # what is only read, or the stack itself
            return 0
        if urn not in by_urn:
            each = known[urn]
            before = [wave(other) + (kinds.get(other) in _AWAITED) for other in each.dependencies]
            by_urn[urn] = max([wave(each.parent), *before])
        return by_urn[urn]

    result = {urn: wave(urn) for urn in kinds}
    last = max(result.values(), default=0)
    return {urn: last if kinds[urn] in _LAST else wave for urn, wave in result.items()}
