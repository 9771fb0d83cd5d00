"""Autoscalers as they are seen; load on the gateway, and what its autoscaler makes of it."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from tests.cluster.deployment import NAMESPACE, Deployment

DEADLINE = 180.0
"""Seconds: metrics every 15 s, the autoscaler looks every 15 s, and the average needs a few."""


GATEWAY = "ado-api-gateway"


@dataclass(frozen=True)
class Autoscaled:
    """A workload and its autoscaler at one moment."""

    minimum: int
    """The autoscaler's lower bound."""
    desired: int
    """Pods, by the autoscaler's status."""
    replicas: int
    """Pods, by the Deployment's specification."""
    cpu: int | None
    """Percent of the request, as the autoscaler read it; None when it could not."""
    active: str
    """The reason and the message of the autoscaler's condition ScalingActive."""

    @property
    def pods(self) -> tuple[int, int]:
        """`desired` and `replicas`, which differ only while the autoscaler is at work."""
        return self.desired, self.replicas


def autoscaled(deployment: Deployment, workload: str) -> Autoscaled:
    """How a workload is scaled now."""
    named = (f"hpa/{workload}-hpa", f"deployment/{workload}")
    command = ["get", *named, "-n", NAMESPACE, "-o", "json"]
    scaler, target = json.loads(deployment.kubectl(*command))["items"]
    conditions = {c["type"]: c for c in scaler["status"].get("conditions") or []}
    active = conditions.get("ScalingActive")
    return Autoscaled(
        minimum=scaler["spec"]["minReplicas"],
        desired=scaler["status"]["desiredReplicas"],
        replicas=target["spec"]["replicas"],
        cpu=_cpu(scaler),
        active=f"{active['reason']}: {active['message']}" if active else "",
    )


def autoscaled_once(
    deployment: Deployment, workload: str, condition: Callable[[Autoscaled], bool], what: str
) -> Autoscaled:
    """How a workload is scaled, once it meets a condition."""
    attempts = Retrying(
        stop=stop_after_delay(DEADLINE),
        wait=wait_fixed(1),
        retry=retry_if_result(lambda seen: not condition(seen)),
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    seen: Autoscaled = attempts(autoscaled, deployment, workload)
    assert condition(seen), f"the autoscaler of {workload} never {what}: {seen}"
    return seen


def assert_scales_up_under_load(deployment: Deployment, least: int) -> None:
    """From `least` pods to more, by load alone; a later `up` leaves the number alone."""
    idle = autoscaled_once(
        deployment, GATEWAY, lambda seen: seen.cpu is not None, "shows a CPU figure"
    )
    assert idle.minimum == least
    with _load(f"{deployment.links()['gateway']}/work?ms=400", clients=2 * least):
        autoscaled_once(
            deployment, GATEWAY, lambda seen: seen.desired > least, f"wants more than {least} pods"
        )
    deployment.wait_until_ready()
    # The autoscaler moved the number of replicas; it is the owner, and `up` leaves it alone.
    assert set(deployment.up().changes) == {"same"}
    assert len(deployment.pods(GATEWAY)) > least


def _cpu(scaler: dict[str, Any]) -> int | None:
    metrics = scaler["status"].get("currentMetrics") or []
    cpu = [m["resource"]["current"] for m in metrics if m.get("resource", {}).get("name") == "cpu"]
    return cpu[0].get("averageUtilization") if cpu else None


@contextmanager
def _load(url: str, clients: int) -> Generator[None]:
    """Clients that keep asking until the block ends; never more than 1000 requests each."""
    stop = threading.Event()

    def ask() -> None:
        for _ in range(1000):
            if stop.is_set():
                return
            try:
                urllib.request.urlopen(url, timeout=10).close()  # noqa: S310 - a loopback link
            except OSError:
                stop.wait(0.2)  # the gateway is busy, which is the point

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)
