"""A platform's objects, read from the API server: as far as whoever asks may read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from kubernetes import client

from ado_infra.kit.labels import SELECTOR_KEY
from ado_infra.ops import rights
from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Namespace
from ado_infra.ops.platform import tiers as interpreted
from ado_infra.ops.platform.objects import Model, Objects, holds, labels
from ado_infra.ops.platform.tiers import Platform, Tier

PART_OF: Final = "app.kubernetes.io/part-of=ado"
_VERSIONS: Final = "the versions that really run"
_WORKLOADS: Final = ("deployments", "stateful_sets", "jobs")
"""Without one of these nobody can say that a platform is Ready."""
_FOR_TIERS: Final = (*_WORKLOADS, "autoscalers", "pods", "warnings", "config_maps")
_FOR_PLATFORM: Final = (*_FOR_TIERS, "services", "claims", "ingresses", "monitors")
_RECORD: Final = "postgresql-state"
_OF_PLATFORM: Final[Mapping[str, str]] = {"label_selector": PART_OF}
_FILTERS: Final[Mapping[str, Mapping[str, str]]] = {
    # What the controllers make need not have the platform's labels.
    "pods": {},
    "claims": {},
    "warnings": {"field_selector": "type=Warning"},
}
_WORDS: Final = {
    "stateful_sets": "StatefulSets",
    "deployments": "Deployments",
    "jobs": "Jobs",
    "autoscalers": "autoscalers",
    "pods": "pods",
    "warnings": "warnings among the events",
    "config_maps": f"ConfigMap {_RECORD}",
    "services": "Services",
    "claims": "volume claims",
    "ingresses": "Ingresses",
    "monitors": "ServiceMonitors",
}
_ASK_FOR_VERSION: Final = {
    "postgresql": ("postgres", "--version"),
    "redis": ("redis-server", "--version"),
}
"""Component → the command that says which server really runs, whatever the image is called."""
_VERSION_TIMEOUT: Final = 10.0
"""Seconds that a server may take to say its version."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """A platform as it was seen.

    Attributes:
        platform: What was seen of it.
        unseen: What may not be read, in words.
        complete: Whether all workloads were seen.
    """

    platform: Platform
    unseen: tuple[str, ...]
    complete: bool


def look(namespace: Namespace) -> Sight:
    """All that can be said of a running platform, with the versions that really run."""
    seen, refused = _read(namespace, _FOR_PLATFORM)
    platform = interpreted.platform(namespace.name, seen)
    complete = not {*_WORKLOADS} & {*refused}
    if not complete:  # whoever may not see a workload does not know that it is missing
        platform = replace(platform, orphans=())
    unseen = [_WORDS[kind] for kind in refused]
    stores = any(tier.component in _ASK_FOR_VERSION for tier in platform.tiers)
    if stores and ("pods" in refused or namespace.lacking(rights.SEE_VERSIONS)):
        unseen.append(_VERSIONS)
    elif stores:
        with ThreadPoolExecutor() as pool:
            asked = pool.map(lambda tier: _of_real_version(namespace, tier, seen), platform.tiers)
            platform = replace(platform, tiers=[*asked])
    return Sight(platform=platform, unseen=tuple(unseen), complete=complete)


def tiers(namespace: Namespace) -> list[Tier]:
    """Every workload and Job of the platform, without their Services and claims."""
    return interpreted.tiers(_read(namespace, _FOR_TIERS)[0])


def _read(namespace: Namespace, kinds: Sequence[str]) -> tuple[Objects, list[str]]:
    """What there is of these kinds, and the kinds that may not be read."""
    calls = _calls(namespace)
    found: dict[str, Any] = {}
    for kind in kinds:
        try:
            found[kind] = calls[kind](**_FILTERS.get(kind, _OF_PLATFORM))
        except client.ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:  # the cluster does not know the kind
                found[kind] = ()
            elif error.status != HTTPStatus.FORBIDDEN:
                raise
    return Objects(**found), [kind for kind in kinds if kind not in found]


def _calls(namespace: Namespace) -> dict[str, Callable[..., Sequence[Model]]]:
    api, name = namespace.api, namespace.name
    apps, core = client.AppsV1Api(api), client.CoreV1Api(api)

    def record(**_: str) -> Sequence[Model]:
        # By its name: who may read that one need not be allowed to list all.
        return [core.read_namespaced_config_map(_RECORD, name)]

    def monitors(**_: str) -> Sequence[Model]:
        listed: Model = client.CustomObjectsApi(api).list_namespaced_custom_object(
            "monitoring.coreos.com", "v1", name, "servicemonitors", label_selector=PART_OF
        )
        return listed["items"]

    def listing(call: Callable[..., Model]) -> Callable[..., Sequence[Model]]:
        return lambda **selected: call(name, **selected).items

    return {
        "deployments": listing(apps.list_namespaced_deployment),
        "stateful_sets": listing(apps.list_namespaced_stateful_set),
        "jobs": listing(client.BatchV1Api(api).list_namespaced_job),
        "autoscalers": listing(
            client.AutoscalingV2Api(api).list_namespaced_horizontal_pod_autoscaler
        ),
        "pods": listing(core.list_namespaced_pod),
        "warnings": listing(core.list_namespaced_event),
        "services": listing(core.list_namespaced_service),
        "claims": listing(core.list_namespaced_persistent_volume_claim),
        "ingresses": listing(client.NetworkingV1Api(api).list_namespaced_ingress),
        "config_maps": record,
        "monitors": monitors,
    }


def _of_real_version(namespace: Namespace, tier: Tier, seen: Objects) -> Tier:
    """The tier with the version that its server says it is; `?` where it says none."""
    command = _ASK_FOR_VERSION.get(tier.component)
    ready = [
        pod.metadata.name
        for pod in seen.pods
        if labels(pod).get(SELECTOR_KEY) == tier.name and holds(pod, "Ready")
    ]
    if command is None or tier.kind != "StatefulSet" or not ready:
        return tier
    # A client of its own: while a command runs in a pod, all that a client asks is part of it.
    own = Namespace(type(namespace.api)(namespace.api.configuration), namespace.name)
    try:
        said = own.run(min(ready), command, seconds=_VERSION_TIMEOUT)
    except OpsError:  # its node is away, or its image has no such program
        said = ""
    version = re.search(r"\d+(\.\d+)+", said)
    return replace(tier, version=version[0] if version else "?")
