"""What runs in a sandbox: read from the API server, for waiting and for showing."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kubernetes import client, config
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed
from urllib3.exceptions import HTTPError

from sandbox.errors import SandboxError
from sandbox.paths import Sandbox

Model: TypeAlias = Any
"""A model of the client: to its types every field may be missing, also those that never are."""

PART_OF: Final = "app.kubernetes.io/part-of=ado"
DEADLINE: Final = 300.0
"""Seconds that a platform may take from its deployment to Ready."""
REQUEST_TIMEOUT: Final = 30.0
"""Seconds that the API server may take to answer."""


@dataclass(frozen=True)
class Tier:
    """One workload as it runs."""

    name: str
    ready: int
    wanted: int
    version: str
    settled: bool
    """Whether every pod is of the newest template and Ready, and no other is left."""
    reason: str
    """Why it is not; empty when it is."""
    autoscaler: str
    """`cpu 3%/70%, 1 to 2`; empty without one."""


def api(sandbox: Sandbox) -> client.ApiClient:
    """A client of the sandbox's API server, whatever KUBECONFIG says."""
    return config.new_client_from_config(str(sandbox.kubeconfig))


def tiers(connection: client.ApiClient, namespace: str) -> list[Tier]:
    """Every workload of the platform, by name.

    Raises SandboxError when the API server does not answer.
    """
    with _answering():
        scalers = client.AutoscalingV2Api(connection).list_namespaced_horizontal_pod_autoscaler(
            namespace, _request_timeout=REQUEST_TIMEOUT
        )
        deployments = client.AppsV1Api(connection).list_namespaced_deployment(
            namespace, label_selector=PART_OF, _request_timeout=REQUEST_TIMEOUT
        )
    scaled = {scaler.spec.scale_target_ref.name: scaler for scaler in scalers.items}
    return [_tier(deployment, scaled) for deployment in deployments.items]


def wait_until_ready(
    connection: client.ApiClient, namespace: str, deadline: float = DEADLINE
) -> list[Tier]:
    """Every tier, once all of them are settled.

    Raises SandboxError after `deadline` seconds, saying which tier lacks what.
    """
    attempts = Retrying(
        retry=retry_if_exception_type(SandboxError),
        stop=stop_after_delay(deadline),
        wait=wait_fixed(0.3),
        reraise=True,
    )
    return attempts(_settled_tiers, connection, namespace)


def _settled_tiers(connection: client.ApiClient, namespace: str) -> list[Tier]:
    found = tiers(connection, namespace)
    if missing := [f"  {tier.name}: {tier.reason}" for tier in found if not tier.settled]:
        raise SandboxError("Not Ready:\n" + "\n".join(missing))
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


@contextmanager
def _answering() -> Generator[None]:
    """Turns what the client raises into something the user can act on."""
    try:
        yield
    except client.ApiException as error:
        what = json.loads(error.body or "{}").get("message", error.reason)
        raise SandboxError(
            f"The API server says: {what}. What was deleted behind the engine's back is made anew "
            "by `make down` and `make up`."
        ) from None
    except HTTPError as error:
        raise SandboxError(
            f"The API server does not answer ({type(error).__name__}); `make up` repairs it."
        ) from None


def _tier(deployment: Model, scaled: Mapping[str, Model]) -> Tier:
    status, scaler = deployment.status, scaled.get(deployment.metadata.name)
    # The autoscaler raises a new Deployment to its minimum some seconds after it was made.
    wanted = max(deployment.spec.replicas, scaler.spec.min_replicas if scaler else 0)
    ready, updated = status.ready_replicas or 0, status.updated_replicas or 0
    observed = status.observed_generation == deployment.metadata.generation
    settled = observed and ready == updated == wanted == (status.replicas or 0)
    blocked = [c.message for c in status.conditions or [] if c.status == "False"]
    labels = deployment.spec.template.metadata.labels
    return Tier(
        name=deployment.metadata.name,
        ready=ready,
        wanted=wanted,
        version=labels.get("app.kubernetes.io/version", ""),
        settled=settled,
        reason="" if settled else f"{ready} of {wanted} pods Ready. {' '.join(blocked)}".strip(),
        autoscaler=_autoscaler(scaler) if scaler else "",
    )


def _autoscaler(scaler: Model) -> str:
    current = {
        metric.resource.name: metric.resource.current.average_utilization
        for metric in scaler.status.current_metrics or []
        if metric.resource
    }
    parts = []
    for metric in scaler.spec.metrics:
        if metric.resource:
            seen = current.get(metric.resource.name)
            target = metric.resource.target.average_utilization
            parts.append(f"{metric.resource.name} {'?' if seen is None else seen}%/{target}%")
    bounds = f"{scaler.spec.min_replicas} to {scaler.spec.max_replicas}"
    return f"{', '.join(parts)}; {bounds}"
