"""Stopping whoever writes to the database, and starting them again as they were.

How many pods each had is noted on its Deployment, so that whoever was cut off can be followed by
anybody. An autoscaler leaves a Deployment of none alone.
"""

from __future__ import annotations

from typing import Final

from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Model, Namespace, Say, wait_until
from ado_infra.ops.postgres.rotation import readers

REPLICAS: Final = "ado.ops/replicas"
"""Annotation of a Deployment that is stopped: how many pods it had."""
_END: Final = 600.0
"""Seconds for their pods to end: as long as a gateway may drain, and more."""


def stop(namespace: Namespace, say: Say) -> None:
    """Leaves no pod of whoever is given the database's URL.

    Raises OpsError when some do not end.
    """
    for deployment in _writers(namespace):
        name, wanted = deployment.metadata.name, deployment.spec.replicas
        if REPLICAS not in (deployment.metadata.annotations or {}):
            namespace.annotate_deployment(name, REPLICAS, str(wanted))
        if wanted:
            say(f"stopping {name}")
            namespace.scale(name, 0)
    if not wait_until(lambda: not _running(namespace), _END):
        names = ", ".join(_running(namespace))
        raise OpsError(
            f"Still running: {names}; see docs/data-runbooks.md, A node does not answer."
        )


def start(namespace: Namespace, say: Say) -> None:
    """As many pods again as they had; what was never stopped stays as it is."""
    for deployment in namespace.deployments():
        name = deployment.metadata.name
        noted = (deployment.metadata.annotations or {}).get(REPLICAS)
        if noted is None:
            continue
        say(f"starting {name}")
        namespace.scale(name, int(noted))
        # Else the stack's next `pulumi up` would be in conflict with whoever has scaled.
        namespace.disown_scale(name)
        namespace.annotate_deployment(name, REPLICAS, None)


def noted(namespace: Namespace) -> list[str]:
    """Who is stopped still."""
    return [
        deployment.metadata.name
        for deployment in namespace.deployments()
        if REPLICAS in (deployment.metadata.annotations or {})
    ]


def _writers(namespace: Namespace) -> list[Model]:
    found = namespace.deployments()
    names = set(readers(found))
    return [deployment for deployment in found if deployment.metadata.name in names]


def _running(namespace: Namespace) -> list[str]:
    return [d.metadata.name for d in _writers(namespace) if namespace.pods_of_deployment(d)]
