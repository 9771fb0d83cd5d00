"""Stopping whoever writes to the stores, and starting them again as they were.

How many pods each had is noted on its Deployment, so that whoever was cut off can be followed by
anybody. An autoscaler leaves a Deployment of none alone.

Two commands do it. A restore stops whom it must, and starts them afterwards; a pause ends by a
`resume` alone, so its mark keeps a restore in between from starting anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Model, Namespace, Say, wait_until
from ado_infra.ops.postgres.rotation import URLS, given, readers

Choice: TypeAlias = Callable[[Sequence[Model]], Sequence[str]]
"""Which of these Deployments, by name."""
REPLICAS: Final = "ado.ops/replicas"
"""Annotation of a Deployment that is stopped: how many pods it had."""
PAUSED: Final = "ado.ops/paused"
"""Annotation of a Deployment that only `resume` starts."""
_OWN: Final = ("app.kubernetes.io/part-of", "ado")
_STORE_URLS: Final = {"DATABASE_URL", "REDIS_URL"}
_END: Final = 600.0
"""Seconds for their pods to end: as long as a gateway may drain, and more."""
_MARGIN: Final = 60.0
"""Seconds beyond what pods are given to end."""


def store_users(deployments: Sequence[Model]) -> list[str]:
    """The Deployments whose containers are given the URL of the database or of Redis.

    Of the platform's own also those that have it from a Secret of others, or a password for it.
    """
    return [d.metadata.name for d in deployments if _uses_stores(d)]


def _uses_stores(deployment: Model) -> bool:
    if any(name == URLS for name, _ in given(deployment)):
        return True
    label, application = _OWN
    containers = deployment.spec.template.spec.containers
    named = {variable.name for container in containers for variable in container.env or ()}
    return (deployment.metadata.labels or {}).get(label) == application and bool(
        named & _STORE_URLS
    )


def stop(namespace: Namespace, say: Say, chosen: Choice = readers) -> None:
    """Leaves no pod of the chosen Deployments: of whoever is given the database's URL.

    Raises OpsError when some do not end.
    """
    for deployment in _of(namespace, chosen):
        name, wanted = deployment.metadata.name, deployment.spec.replicas
        if REPLICAS not in notes(deployment):
            namespace.annotate_deployment(name, REPLICAS, str(wanted))
        if wanted:
            say(f"stopping {name}")
            namespace.scale(name, 0)
    seconds = patience(_of(namespace, chosen))
    if running := _running(namespace, chosen):
        say(f"waiting at most {seconds:.0f} s until the pods of {', '.join(running)} have ended")
    if not wait_until(lambda: not _running(namespace, chosen), seconds):
        names = ", ".join(_running(namespace, chosen))
        raise OpsError(
            f"Still running: {names}; see docs/data-runbooks.md, A node does not answer."
        )


def start(namespace: Namespace, say: Say, *, paused: bool = False) -> None:
    """As many pods again as they had; what was never stopped stays as it is.

    `paused`: also of those that are paused, which are so no longer.
    """
    for deployment in namespace.deployments():
        name, noted_here = deployment.metadata.name, notes(deployment).get(REPLICAS)
        is_paused = PAUSED in notes(deployment)
        if is_paused and not paused:
            continue
        if noted_here is not None:
            say(f"starting {name}")
            namespace.scale(name, int(noted_here))
            # Else the stack's next `pulumi up` would be in conflict with whoever has scaled.
            namespace.disown_scale(name)
            namespace.annotate_deployment(name, REPLICAS, None)
        if is_paused:  # last: cut off before, the same command still finds it
            namespace.annotate_deployment(name, PAUSED, None)


def noted(namespace: Namespace) -> list[str]:
    """Who is stopped still, and not paused."""
    return [
        deployment.metadata.name
        for deployment in namespace.deployments()
        if REPLICAS in notes(deployment) and PAUSED not in notes(deployment)
    ]


def patience(deployments: Sequence[Model]) -> float:
    """Seconds for the pods of these to end, whatever they are given for it."""
    graces = (d.spec.template.spec.termination_grace_period_seconds or 0 for d in deployments)
    return max(_END, max(graces, default=0) + _MARGIN)


def notes(deployment: Model) -> dict[str, str]:
    """The annotations of a Deployment."""
    found: dict[str, str] = deployment.metadata.annotations or {}
    return found


def _of(namespace: Namespace, chosen: Choice) -> list[Model]:
    found = namespace.deployments()
    names = set(chosen(found))
    return [deployment for deployment in found if deployment.metadata.name in names]


def _running(namespace: Namespace, chosen: Choice) -> list[str]:
    found = _of(namespace, chosen)
    return [d.metadata.name for d in found if namespace.pods_of_deployment(d)]
