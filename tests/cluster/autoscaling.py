"""Load on the gateway, and what its autoscaler makes of it."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from tests.cluster.deployment import NAMESPACE, Deployment

DEADLINE = 180.0
"""Seconds: metrics every 15 s, the autoscaler looks every 15 s, and the average needs a few."""


def assert_scales_up_under_load(deployment: Deployment, least: int) -> None:
    """From `least` pods to more, by load alone; a later `up` leaves the number alone."""
    idle = _until(deployment, lambda scaler: _cpu(scaler) is not None, "shows a CPU figure")
    assert idle["spec"]["minReplicas"] == least
    with _load(f"{deployment.links()['gateway']}/work?ms=400", clients=2 * least):
        _until(
            deployment,
            lambda scaler: scaler["status"]["desiredReplicas"] > least,
            f"wants more than {least} pods",
        )
    deployment.wait_until_ready()
    # The autoscaler moved the number of replicas; it is the owner, and `up` leaves it alone.
    assert set(deployment.up().changes) == {"same"}
    assert len(deployment.pods("ado-api-gateway")) > least


def _until(
    deployment: Deployment, condition: Callable[[dict[str, Any]], bool], what: str
) -> dict[str, Any]:
    """The gateway's autoscaler once it meets a condition."""
    command = ["get", "hpa", "ado-api-gateway-hpa", "-n", NAMESPACE, "-o", "json"]
    attempts = Retrying(
        stop=stop_after_delay(DEADLINE),
        wait=wait_fixed(1),
        retry=retry_if_result(lambda scaler: not condition(scaler)),
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    scaler: dict[str, Any] = attempts(lambda: json.loads(deployment.kubectl(*command)))
    assert condition(scaler), f"the autoscaler never {what}: {scaler['status']}"
    return scaler


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
