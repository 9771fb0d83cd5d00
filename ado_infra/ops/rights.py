"""The rights that the commands need: asked for before anything is changed, and as a Role to give.

Nothing outside the platform's own namespace is among them. Who may also `get nodes` is told sooner
of a node that does not answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kubernetes import client

from ado_infra.ops.errors import OpsError

NAME: Final = "ado-ops"


@dataclass(frozen=True)
class Right:
    """What may be done with one kind of object, or with a part of it, such as `pods/exec`."""

    group: str
    resource: str
    verbs: tuple[str, ...]


_PODS: Final = (
    Right("", "pods/exec", ("get", "create")),  # by GET until Kubernetes 1.34, as create since
    Right("", "pods/log", ("get",)),
    Right("coordination.k8s.io", "leases", ("get", "create", "update", "delete")),
)
SERVER: Final = (
    Right("", "pods", ("get", "list", "watch", "patch", "delete")),
    *_PODS,
    Right("", "configmaps", ("get", "patch")),
    Right("", "services", ("get", "patch")),
)
"""Who is the primary, and whose server runs."""
PASSWORD: Final = (
    *SERVER,
    Right("", "secrets", ("get", "patch")),
    Right("apps", "deployments", ("get", "list", "patch")),
)
"""Another password, also for who reads it."""
BACKUP: Final = (
    *SERVER,
    Right("apps", "deployments", ("get", "list", "patch")),
    Right("apps", "deployments/scale", ("patch",)),
    Right("batch", "cronjobs", ("get",)),
    Right("batch", "jobs", ("list", "create", "delete")),
)
"""A backup, or a restore, beside those of the schedule."""
ADOPTION: Final = (Right("", "secrets", ("get",)), Right("", "configmaps", ("get",)))
"""What `adopt` reads itself; the rest it needs is what every `pulumi up` needs."""
_SETS: Final = Right("apps", "statefulsets", ("get",))
REDIS: Final = (Right("", "pods", ("get",)), *_PODS, _SETS)
"""What is told to the nodes of Redis, in their pods."""
_ALL: Final = tuple(dict.fromkeys((*PASSWORD, *BACKUP, _SETS)))


def require(api: client.ApiClient, namespace: str, needed: Sequence[Right]) -> None:
    """Asks the API server for each of them.

    Raises OpsError naming those that are missing.
    """
    if missing := list(_missing(client.AuthorizationV1Api(api), namespace, needed)):
        raise OpsError(
            f"You may not {', '.join(missing)} in namespace {namespace}. Nothing was touched. "
            f"`ado-ops role --namespace {namespace}` prints a Role that allows all that ado-ops "
            "does; who administers the cluster applies it and binds you to it."
        )


def _missing(
    api: client.AuthorizationV1Api, namespace: str, needed: Sequence[Right]
) -> Iterator[str]:
    for right in needed:
        resource, _, part = right.resource.partition("/")
        for verb in right.verbs:
            asked = client.V1ResourceAttributes(
                namespace=namespace,
                group=right.group,
                resource=resource,
                subresource=part or None,
                verb=verb,
            )
            spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=asked)
            answer: Any = api.create_self_subject_access_review(
                client.V1SelfSubjectAccessReview(spec=spec)
            )
            if not answer.status.allowed:
                yield f"{verb} {right.resource}"


def role(namespace: str) -> Mapping[str, Any]:
    """A Role, as a manifest, with all that the commands do."""
    rules = [
        {"apiGroups": [right.group], "resources": [right.resource], "verbs": list(right.verbs)}
        for right in _ALL
    ]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": NAME, "namespace": namespace},
        "rules": rules,
    }
