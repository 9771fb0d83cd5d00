"""The dev stack as it runs: reachable, scaled, admitted, and left alone by a second `up`."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from tests.cluster.deployment import NAMESPACE, Deployment
from tests.unit.recording import record_stack

ECHO = """
import asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect("{url}") as socket:
            await socket.send_str("over and out")
            print(await socket.receive_str(timeout=10))
asyncio.run(main())
"""


def _get(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - a loopback link
        return answer.status, answer.read().decode()


def test_a_second_up_changes_nothing(deployment: Deployment) -> None:
    before = {k: o["metadata"]["resourceVersion"] for k, o in deployment.objects().items()}
    planned = deployment.preview()
    assert planned.succeeded
    assert set(planned.changes) == {"same"}
    again = deployment.up()
    assert set(again.changes) == {"same"}
    after = {k: o["metadata"]["resourceVersion"] for k, o in deployment.objects().items()}
    ours = {k for k in before if k[0] in {"Namespace", "ConfigMap", "Secret", "Service"}}
    assert ours
    assert {k: after[k] for k in ours} == {k: before[k] for k in ours}


def test_the_namespace_holds_exactly_the_programs_objects(deployment: Deployment) -> None:
    live = {key for key in deployment.objects() if key[0] not in {"Pod", "ReplicaSet"}}
    assert live == {resource.key for resource in record_stack("dev").objects}


def test_admission_warns_about_nothing(deployment: Deployment) -> None:
    deployment.write()
    for resource in record_stack("dev").objects:
        warnings = deployment.dry_run_warnings(resource.manifest)
        assert warnings == [], f"{resource.key}: {warnings}"


def test_a_pod_that_is_not_restricted_is_refused(deployment: Deployment) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "lax", "namespace": NAMESPACE},
        "spec": {"containers": [{"name": "lax", "image": "ado/worker:0.1.0"}]},
    }
    refusal = deployment.refusal_of(pod)
    assert "violates PodSecurity" in refusal
    assert "restricted" in refusal


def test_pods_reach_every_service_by_its_name(deployment: Deployment) -> None:
    gateway = f"http://ado-api-gateway.{NAMESPACE}.svc.cluster.local"
    read = "import urllib.request as u; a = u.urlopen('{}', timeout=10); print(a.status)"
    for url in (f"{gateway}/health/ready", "http://ado-dashboard/", f"{gateway}:9090/metrics"):
        assert deployment.inside(read.format(url)).strip() == "200"
    assert (
        deployment.inside(ECHO.format(url="ws://ado-api-gateway:81/ws")).strip() == "over and out"
    )


def test_the_loopback_links_reach_gateway_and_dashboard(deployment: Deployment) -> None:
    links = deployment.links()
    assert all("//127.0.0.1:" in url for url in links.values())
    assert _get(f"{links['gateway']}/health/ready")[0] == 200
    status, page = _get(links["dashboard"])
    assert status == 200
    assert "dashboard" in page
    assert asyncio.run(_echo(links["gateway-ws"])) == "over and out"


def test_the_gateway_is_told_its_configuration(deployment: Deployment) -> None:
    read = "import os; print(open(os.environ['ADO_CONFIG_FILE']).read())"
    seen = deployment.inside(read, "ado-api-gateway")
    assert "strategy: subscription-first" in seen
    assert "wsPort: 3001" in seen


def test_the_gateway_scales_up_under_load(deployment: Deployment) -> None:
    idle = _until(deployment, lambda scaler: _cpu(scaler) is not None, "shows a CPU figure")
    assert idle["spec"]["minReplicas"] == 1
    with _load(f"{deployment.links()['gateway']}/work?ms=400"):
        scaled = _until(
            deployment, lambda scaler: scaler["status"]["desiredReplicas"] == 2, "wants 2 pods"
        )
    assert _cpu(scaled) is not None
    deployment.wait_until_ready()
    # The autoscaler moved the number of replicas; it is the owner, and `up` leaves it alone.
    assert set(deployment.up().changes) == {"same"}
    assert len(deployment.pods("ado-api-gateway")) == 2


async def _echo(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws") as socket:
        await socket.send_str("over and out")
        return await socket.receive_str(timeout=10)


def _until(deployment: Deployment, condition: Any, what: str) -> dict[str, Any]:
    """The gateway's autoscaler once it meets a condition, within three minutes."""
    command = ["get", "hpa", "ado-api-gateway-hpa", "-n", NAMESPACE, "-o", "json"]
    attempts = Retrying(
        stop=stop_after_delay(180),
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
def _load(url: str) -> Iterator[None]:
    """Two clients that keep asking until the block ends; never more than 1000 requests each."""
    stop = threading.Event()

    def ask() -> None:
        for _ in range(1000):
            if stop.is_set():
                return
            try:
                _get(url)
            except OSError:
                stop.wait(0.2)  # the gateway is busy, which is the point

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for thread in clients:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in clients:
            thread.join(timeout=30)
