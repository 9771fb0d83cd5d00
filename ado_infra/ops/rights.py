"""The rights that the commands need: asked for before anything is changed, and as a Role to give.

Nothing outside the platform's own namespace is among them, but for `drain`, which changes a node: a
ClusterRole of its own has that. Who may also `get nodes` is told sooner of a node that does not
answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ado_infra.ops import NAME
from ado_infra.ops.errors import OpsError

if TYPE_CHECKING:
    from kubernetes import client


@dataclass(frozen=True)
class Right:
    """What may be done with one kind of object, or with a part of it, such as `pods/exec`."""

    group: str
    resource: str
    verbs: tuple[str, ...]


def _together(*needed: Right) -> tuple[Right, ...]:
    """The same, each kind of object once."""
    verbs: dict[tuple[str, str], dict[str, None]] = {}
    for right in needed:
        verbs.setdefault((right.group, right.resource), {}).update(dict.fromkeys(right.verbs))
    return tuple(Right(*kind, tuple(each)) for kind, each in verbs.items())


_EXEC: Final = Right("", "pods/exec", ("get", "create"))  # by GET until Kubernetes 1.34
_LOG: Final = Right("", "pods/log", ("get",))
_ALONE: Final = Right("coordination.k8s.io", "leases", ("get", "create", "update", "delete"))
"""Every command that changes something; see `lease`."""
_RECORD: Final = Right("", "configmaps", ("get", "patch"))
_DEPLOYMENTS: Final = Right("apps", "deployments", ("list",))

SEE_PLATFORM: Final = (
    Right("apps", "deployments", ("list",)),
    Right("apps", "statefulsets", ("list",)),
    Right("batch", "jobs", ("list",)),
    Right("autoscaling", "horizontalpodautoscalers", ("list",)),
    Right("", "pods", ("list",)),
    Right("", "events", ("list",)),
    Right("", "services", ("list",)),
    Right("", "persistentvolumeclaims", ("list",)),
    Right("networking.k8s.io", "ingresses", ("list",)),
    Right("monitoring.coreos.com", "servicemonitors", ("list",)),
    Right("", "configmaps", ("get",)),
)
"""`status` and `picture` of the whole, which do without any of them and say what they lack."""
SEE_VERSIONS: Final = (_EXEC,)
"""Which versions of the stores really run, for the same."""
LOOK: Final = (Right("", "pods", ("get",)), _EXEC, Right("", "configmaps", ("get",)))
"""PostgreSQL's pods and their record; `status` needs these, and can do without the next five."""
SEE_SERVICES: Final = (Right("", "services", ("get",)),)
SEE_REVISION: Final = (Right("apps", "statefulsets", ("get",)),)
SEE_PASSWORD: Final = (
    Right("", "secrets", ("get",)),
    Right("", "pods", ("list",)),
    _DEPLOYMENTS,
)
SEE_RESTORE: Final = (_DEPLOYMENTS, Right("batch", "jobs", ("list",)))
SEE_BACKUP: Final = (Right("batch", "cronjobs", ("get",)),)

FENCE: Final = (
    Right("", "pods", ("get", "list", "watch", "delete")),
    _EXEC,
    _RECORD,
    _ALONE,
)
UNFENCE: Final = (Right("", "pods", ("patch",)), _RECORD, _ALONE)
REJOIN: Final = _together(*FENCE, *UNFENCE)
PROMOTE: Final = _together(*REJOIN, Right("", "services", ("get", "patch")))
ROTATE: Final = (
    Right("", "pods", ("get", "patch")),
    _EXEC,
    Right("", "configmaps", ("get",)),
    Right("", "secrets", ("get", "patch")),
    Right("apps", "deployments", ("list", "patch")),
    _ALONE,
)
ROTATE_MODEL_KEY: Final = (
    Right("", "pods", ("list",)),
    Right("", "secrets", ("get", "patch")),
    Right("apps", "deployments", ("list", "patch")),
    _ALONE,
)
BACK_UP: Final = (
    Right("", "pods", ("list",)),
    _LOG,
    Right("batch", "cronjobs", ("get",)),
    Right("batch", "jobs", ("list", "create")),
    _ALONE,
)
LIST: Final = (
    Right("", "pods", ("list",)),
    _LOG,
    Right("batch", "cronjobs", ("get",)),
    Right("batch", "jobs", ("list", "create", "delete")),
)
"""Which backups there are."""
START_WRITERS: Final = (
    Right("apps", "deployments", ("get", "list", "patch")),
    Right("apps", "deployments/scale", ("patch",)),
    Right("batch", "jobs", ("list",)),
    _ALONE,
)
RESTORE: Final = _together(*LIST, *START_WRITERS, *LOOK)
PAUSE: Final = (
    Right("", "pods", ("list",)),
    Right("apps", "deployments", ("list", "patch")),
    Right("apps", "deployments/scale", ("patch",)),
    _ALONE,
)
RESUME: Final = START_WRITERS

REDIS_LOOK: Final = (
    Right("", "pods", ("get",)),
    _EXEC,
    _LOG,
    Right("apps", "statefulsets", ("get",)),
)
REDIS: Final = (*REDIS_LOOK, _ALONE)
"""What is told to the nodes of Redis, in their pods."""
DRAIN: Final = _together(
    *(*PROMOTE, *REDIS),
    Right("", "pods", ("list",)),
    Right("", "pods/eviction", ("create",)),
    Right("batch", "jobs", ("list",)),
)
UNDRAIN: Final = (_ALONE,)
NODES: Final = (Right("", "nodes", ("get", "patch")),)
"""Beside these two; the only ones that no Role can give."""
DRIFT: Final = tuple(
    Right(group, resource, ("get", "list"))
    for group, resources in {
        "": ("configmaps", "secrets", "services", "serviceaccounts"),
        "apps": ("deployments", "statefulsets"),
        "autoscaling": ("horizontalpodautoscalers",),
        "batch": ("jobs", "cronjobs"),
        "monitoring.coreos.com": ("servicemonitors",),
        "networking.k8s.io": ("ingresses", "networkpolicies"),
        "policy": ("poddisruptionbudgets",),
        "rbac.authorization.k8s.io": ("roles", "rolebindings"),
    }.items()
    for resource in resources
)
"""Of Secrets only the keys are looked at, which cannot be had without their values."""
SEE_EXTERNAL_SECRETS: Final = (Right("external-secrets.io", "externalsecrets", ("get",)),)
"""Beside these where a stack has External Secrets."""
SEE_LIMITS: Final = (
    Right("", "limitranges", ("get",)),
    Right("", "resourcequotas", ("get",)),
)
"""Beside these where a stack limits its namespace."""
SEE_NAMESPACE: Final = (Right("", "namespaces", ("get",)),)
ADOPTION: Final = (Right("", "secrets", ("get",)), Right("", "configmaps", ("get",)))
"""What `adopt` reads itself; the rest it needs is what every `pulumi up` needs."""

ALL: Final = _together(
    *(*SEE_PLATFORM, *SEE_VERSIONS, *LOOK, *SEE_SERVICES, *SEE_REVISION, *SEE_PASSWORD),
    *(*SEE_RESTORE, *SEE_BACKUP),
    *(*PROMOTE, *ROTATE, *ROTATE_MODEL_KEY, *BACK_UP, *RESTORE, *REDIS, *ADOPTION),
    *(*PAUSE, *RESUME, *DRAIN, *UNDRAIN, *DRIFT, *SEE_NAMESPACE),
    *(*SEE_EXTERNAL_SECRETS, *SEE_LIMITS),
)


def require(api: client.ApiClient, namespace: str, needed: Sequence[Right]) -> None:
    """Asks the API server for each of them.

    Raises OpsError naming those that are missing.
    """
    if lacking := missing(api, namespace, needed):
        raise OpsError(
            f"You may not {', '.join(lacking)} in namespace {namespace}. Nothing was touched. "
            f"{remedy(namespace)}"
        )


def require_nodes(api: client.ApiClient) -> None:
    """Asks for what is done with nodes, which are of no namespace.

    Raises OpsError naming what is missing.
    """
    if lacking := missing(api, None, NODES):
        raise OpsError(
            f"You may not {', '.join(lacking)}. Nothing was touched. `{NAME} role --nodes` prints "
            "a ClusterRole that allows it; who administers the cluster applies it and binds you to "
            "it."
        )


def missing(api: client.ApiClient, namespace: str | None, needed: Sequence[Right]) -> list[str]:
    """Those that the API server would refuse, such as `list pods`."""
    from kubernetes import client  # noqa: PLC0415 - who only prints the Role does without

    return list(_missing(client.AuthorizationV1Api(api), namespace, needed))


def remedy(namespace: str) -> str:
    """How to get them."""
    return (
        f"`{NAME} role --namespace {namespace}` prints a Role that allows all that {NAME} does; "
        "who administers the cluster applies it and binds you to it."
    )


def _missing(
    api: client.AuthorizationV1Api, namespace: str | None, needed: Sequence[Right]
) -> Iterator[str]:
    from kubernetes import client  # noqa: PLC0415 - as above

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
    return _manifest("Role", {"name": NAME, "namespace": namespace}, ALL)


def cluster_role() -> Mapping[str, Any]:
    """A ClusterRole, as a manifest, with what `drain` does with nodes."""
    return _manifest("ClusterRole", {"name": f"{NAME}-nodes"}, NODES)


def _manifest(kind: str, metadata: Mapping[str, str], given: Sequence[Right]) -> Mapping[str, Any]:
    rules = [
        {"apiGroups": [right.group], "resources": [right.resource], "verbs": list(right.verbs)}
        for right in given
    ]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": dict(metadata),
        "rules": rules,
    }
