"""The dev stack as it runs: reachable, scaled, admitted, and left alone by a second `up`."""

from __future__ import annotations

import asyncio
import urllib.request

import aiohttp

from tests.cluster.autoscaling import assert_scales_up_under_load
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.support.recording import record_stack

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


def test_an_up_that_knows_nothing_of_what_is_there_takes_it_over(deployment: Deployment) -> None:
    # As after a kill: made, but not in the engine's state. Another field manager then applies it.
    state = deployment.state()
    made = [each["inputs"] for each in state.resources if "kind" in each.get("inputs", {})]
    plain = [manifest for manifest in made if manifest["kind"] != "Secret"]
    assert {"StatefulSet", "Deployment", "ServiceMonitor"} < {each["kind"] for each in plain}
    for manifest in plain:
        assert deployment.conflicts(manifest) == "", manifest["metadata"]["name"]


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
    assert_scales_up_under_load(deployment, least=1)


async def _echo(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws") as socket:
        await socket.send_str("over and out")
        return await socket.receive_str(timeout=10)
