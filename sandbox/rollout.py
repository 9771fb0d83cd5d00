"""What runs in a sandbox: read from the API server, for waiting and for showing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kubernetes import client, config
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from sandbox.errors import SandboxError
from sandbox.paths import Sandbox

Model: TypeAlias = Any
"""A model of the client: to its types every field may be missing, also those that never are."""

PART_OF: Final = "app.kubernetes.io/part-of=ado"
DEADLINE: Final = 300.0
"""Seconds that a platform may take from its deployment to Ready."""


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
    """Every workload of the platform, by name."""
    autoscalers = client.AutoscalingV2Api(connection)
    scaled = {
        scaler.spec.scale_target_ref.name: scaler
        for scaler in autoscalers.list_namespaced_horizontal_pod_autoscaler(namespace).items
    }
    deployments = client.AppsV1Api(connection).list_namespaced_deployment(
        namespace, label_selector=PART_OF
    )
    return [_tier(deployment, scaled) for deployment in deployments.items]


def wait_until_ready(
    connection: client.ApiClient, namespace: str, deadline: float = DEADLINE
) -> list[Tier]:
    """Every tier, once all of them are settled.

    Raises SandboxError after `deadline` seconds, saying which tier lacks what.
    """
    attempts = Retrying(
        retry=retry_if_result(lambda found: not all(tier.settled for tier in found)),
        stop=stop_after_delay(deadline),
        wait=wait_fixed(0.3),
    )
    try:
        return attempts(tiers, connection, namespace)
    except RetryError as late:
        missing = [tier for tier in late.last_attempt.result() if not tier.settled]
        lines = "\n".join(f"  {tier.name}: {tier.reason}" for tier in missing)
        raise SandboxError(f"Not Ready after {deadline:.0f} s:\n{lines}") from None


def endpoints(
    connection: client.ApiClient, namespace: str, ports: Mapping[str, tuple[str, str]]
) -> dict[str, tuple[str, int]]:
    """Where Services answer: name → (Service, port name) becomes name → (cluster IP, port)."""
    core = client.CoreV1Api(connection)
    specs: dict[str, Model] = {
        service: core.read_namespaced_service(service, namespace).spec
        for service in {service for service, _ in ports.values()}
    }
    return {
        name: (
            specs[service].cluster_ip,
            next(p.port for p in specs[service].ports if p.name == port_name),
        )
        for name, (service, port_name) in ports.items()
    }


def _tier(deployment: Model, scaled: Mapping[str, Model]) -> Tier:
    status, wanted = deployment.status, deployment.spec.replicas
    ready, updated = status.ready_replicas or 0, status.updated_replicas or 0
    observed = status.observed_generation == deployment.metadata.generation
    settled = observed and ready == updated == wanted == (status.replicas or 0)
    blocked = [c.message for c in status.conditions or [] if c.status == "False"]
    labels = deployment.spec.template.metadata.labels
    scaler = scaled.get(deployment.metadata.name)
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
