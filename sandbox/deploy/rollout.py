"""What runs in a sandbox: read from the API server, for waiting and for showing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from kubernetes import client, config
from tenacity import (
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_delay,
    wait_fixed,
)
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from ado_infra.ops.platform import tiers as interpreted
from ado_infra.ops.platform.objects import Model, Objects
from ado_infra.ops.platform.tiers import Platform, Tier
from sandbox.cluster import kubectl
from sandbox.errors import NotReadyError, SandboxError
from sandbox.paths import Sandbox

PART_OF: Final = "app.kubernetes.io/part-of=ado"
DEADLINE: Final = 300.0
"""Seconds that a platform may take from its deployment to Ready."""
REQUEST_TIMEOUT: Final = 30.0
"""Seconds that the API server may take to answer."""
VERSION_TIMEOUT: Final = 10.0
"""Seconds that a server may take to say its version."""

_FOR_TIERS: Final = (
    *("deployments", "stateful_sets", "jobs", "autoscalers", "pods", "warnings"),
    "config_maps",
)
_FOR_PLATFORM: Final = (*_FOR_TIERS, "services", "claims", "ingresses")
_FILTERS: Final[Mapping[str, Mapping[str, str]]] = {
    # What the controllers make need not have the platform's labels.
    "pods": {},
    "claims": {},
    "warnings": {"field_selector": "type=Warning"},
    "config_maps": {"field_selector": "metadata.name=postgresql-state"},
}
_ASK_FOR_VERSION: Final = {
    "postgresql": ("postgres", "--version"),
    "redis": ("redis-server", "--version"),
}
"""Component → the command that says which server really runs, whatever the image is called."""


class GaveUpError(SandboxError):
    """Something that no waiting helps."""


def api(sandbox: Sandbox) -> client.ApiClient:
    """A client of the sandbox's API server, whatever KUBECONFIG says."""
    settings = client.Configuration()
    # A connection is tried again at once; an answer that does not come is not asked for again.
    settings.retries = Retry(3, read=0)
    return config.new_client_from_config(str(sandbox.kubeconfig), client_configuration=settings)


def tiers(connection: client.ApiClient, namespace: str) -> list[Tier]:
    """Every workload and Job of the platform, without their Services and claims.

    Raises SandboxError when the API server does not answer.
    """
    return interpreted.tiers(_read(connection, namespace, _FOR_TIERS))


def platform(sandbox: Sandbox, connection: client.ApiClient, namespace: str) -> Platform:
    """Everything that can be said of a running platform, with the versions that really run.

    Raises SandboxError when the API server does not answer.
    """
    seen = _read(connection, namespace, _FOR_PLATFORM)
    seen = replace(seen, monitors=_monitors(connection, namespace))
    found = interpreted.platform(namespace, seen)
    with ThreadPoolExecutor() as pool:
        return replace(
            found,
            tiers=[
                *pool.map(lambda tier: _with_real_version(sandbox, namespace, tier), found.tiers)
            ],
        )


def wait_until_ready(
    connection: client.ApiClient, namespace: str, deadline: float = DEADLINE
) -> list[Tier]:
    """Every tier, once all of them are settled.

    Raises SandboxError after `deadline` seconds, or as soon as a Job has failed for good or a pod
    is fenced, saying which tier lacks what.
    """
    attempts = Retrying(
        retry=retry_if_exception_type(SandboxError) & retry_if_not_exception_type(GaveUpError),
        stop=stop_after_delay(deadline),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    return attempts(_settled_tiers, connection, namespace)


def _settled_tiers(connection: client.ApiClient, namespace: str) -> list[Tier]:
    found = tiers(connection, namespace)
    if missing := [tier for tier in found if not tier.settled]:
        said = "\n".join(["Not Ready:", *(f"  {tier.name}: {tier.reason}" for tier in missing)])
        raise GaveUpError(said) if any(tier.failed for tier in missing) else SandboxError(said)
    return found


def endpoints(
    connection: client.ApiClient, namespace: str, ports: Mapping[str, tuple[str, str]]
) -> dict[str, tuple[str, int]]:
    """Where Services answer: name → (Service, port name) becomes name → (cluster IP, port).

    Raises SandboxError when a Service is not there, or the API server does not answer.
    """
    core = client.CoreV1Api(connection)
    with _answering():
        specs: dict[str, Model] = {
            service: core.read_namespaced_service(
                service, namespace, _request_timeout=REQUEST_TIMEOUT
            ).spec
            for service in {service for service, _ in ports.values()}
        }
    return {
        name: (
            specs[service].cluster_ip,
            next(p.port for p in specs[service].ports if p.name == port_name),
        )
        for name, (service, port_name) in ports.items()
    }


def _read(connection: client.ApiClient, namespace: str, kinds: Iterable[str]) -> Objects:
    apps, core = client.AppsV1Api(connection), client.CoreV1Api(connection)
    lists: dict[str, Callable[..., Model]] = {
        "deployments": apps.list_namespaced_deployment,
        "stateful_sets": apps.list_namespaced_stateful_set,
        "jobs": client.BatchV1Api(connection).list_namespaced_job,
        "autoscalers": client.AutoscalingV2Api(
            connection
        ).list_namespaced_horizontal_pod_autoscaler,
        "pods": core.list_namespaced_pod,
        "warnings": core.list_namespaced_event,
        "services": core.list_namespaced_service,
        "claims": core.list_namespaced_persistent_volume_claim,
        "ingresses": client.NetworkingV1Api(connection).list_namespaced_ingress,
        "config_maps": core.list_namespaced_config_map,
    }
    with _answering():
        return Objects(
            **{
                kind: lists[kind](
                    namespace,
                    _request_timeout=REQUEST_TIMEOUT,
                    **_FILTERS.get(kind, {"label_selector": PART_OF}),
                ).items
                for kind in kinds
            }
        )


def _monitors(connection: client.ApiClient, namespace: str) -> list[Mapping[str, Any]]:
    """The ServiceMonitors; none where the cluster does not know the kind."""
    with _answering():
        try:
            listed: Model = client.CustomObjectsApi(connection).list_namespaced_custom_object(
                "monitoring.coreos.com",
                "v1",
                namespace,
                "servicemonitors",
                label_selector=PART_OF,
                _request_timeout=REQUEST_TIMEOUT,
            )
        except client.ApiException as error:
            if error.status != 404:
                raise
            return []
    return listed["items"]


def _with_real_version(sandbox: Sandbox, namespace: str, tier: Tier) -> Tier:
    """The tier with the version that its server says it is; with the image's if it says none."""
    command = _ASK_FOR_VERSION.get(tier.component)
    if command is None or tier.kind != "StatefulSet" or not tier.ready:
        return tier
    where = ["exec", "-n", namespace, f"statefulset/{tier.name}"]
    try:
        said = kubectl.attempt(sandbox, *where, "--", *command, deadline=VERSION_TIMEOUT)
    except kubectl.TimedOutError:  # its node is away
        return tier
    version = re.search(r"\d+(\.\d+)+", said.stdout)
    return replace(tier, version=version[0]) if said.returncode == 0 and version else tier


@contextmanager
def _answering() -> Generator[None]:
    """Turns what the client raises into NotReadyError; who knows the stack adds the way out."""
    try:
        yield
    except client.ApiException as error:
        what = json.loads(error.body or "{}").get("message", error.reason)
        raise NotReadyError(f"The API server says: {what}.") from None
    except HTTPError as error:
        raise NotReadyError(f"The API server does not answer ({type(error).__name__}).") from None
