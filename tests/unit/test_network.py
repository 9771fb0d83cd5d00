"""A proxy and a private certificate authority: said once, and every pod of the platform has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pulumi
import pytest

from ado_infra import Site, load_stack
from ado_infra.network import SERVICES, network_options
from ado_infra.settings import NetworkSettings
from tests.support.recording import (
    SECRETS,
    Recording,
    configure,
    merged,
    record_stack,
    stack_config,
)

PROXY = {"https": "http://proxy.corp:3128", "http": "http://proxy.corp:3128"}
NETWORK = {
    "ado:network": {
        "proxy": {**PROXY, "bypass": [".corp", "10.0.0.0/8"]},
        "caBundle": {"configMap": "corp-ca", "key": "bundle.pem"},
    }
}
ALL = {
    "ado:postgres": {"backup": {"bucket": "backups"}},
    "ado:migrations": {"command": ["migrate"]},
}
BUNDLE = "/etc/ado/ca/bundle.pem"


@pytest.fixture(scope="module")
def corp() -> Recording:
    return record_stack("prod", changes={**ALL, **NETWORK})


def _pods(stack: Recording) -> Iterator[dict[str, Any]]:
    for each in stack.objects:
        spec = each.manifest.get("spec", {})
        job = spec.get("jobTemplate", {}).get("spec", spec)
        if each.key[0] in {"CronJob", "Deployment", "Job", "StatefulSet"}:
            yield job["template"]["spec"]


def _containers(stack: Recording) -> list[dict[str, Any]]:
    found = [
        container
        for pod in _pods(stack)
        for container in [*pod.get("initContainers", []), *pod["containers"]]
    ]
    assert len(found) >= 13  # four tiers, two stores, three Jobs of one to four steps, a backup
    return found


def _told(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container["env"]}


def test_every_container_is_told_of_the_proxy_in_both_spellings(corp: Recording) -> None:
    for container in _containers(corp):
        told = _told(container)
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
            assert told[name] == "http://proxy.corp:3128"
        assert told["NO_PROXY"] == told["no_proxy"]


def test_what_is_in_the_cluster_is_reached_without(corp: Recording) -> None:
    around = set(_told(_containers(corp)[0])["NO_PROXY"].split(","))
    assert {".svc", ".cluster.local", "localhost", "127.0.0.1"} <= around
    assert {".corp", "10.0.0.0/8"} <= around
    # The kubelet puts the address of the API server in, of which kubectl knows nothing else.
    assert "$(KUBERNETES_SERVICE_HOST)" in around
    services = {each["metadata"]["name"] for each in corp.of_kind("Service")}
    assert services - around == {"ado-worker"}  # whose metrics are asked for from outside
    assert set(SERVICES) <= services


def test_every_container_trusts_the_bundle(corp: Recording) -> None:
    for container in _containers(corp):
        told = _told(container)
        for name in (
            *("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"),
            *("AWS_CA_BUNDLE", "PGSSLROOTCERT", "RCLONE_CA_CERT"),
        ):
            assert told[name] == BUNDLE
        (mount,) = [m for m in container["volumeMounts"] if m["name"] == "ca-bundle"]
        assert mount == {"name": "ca-bundle", "mountPath": "/etc/ado/ca", "readOnly": True}
    for pod in _pods(corp):
        (volume,) = [each for each in pod["volumes"] if each["name"] == "ca-bundle"]
        assert volume == {"name": "ca-bundle", "configMap": {"name": "corp-ca"}}


def test_it_is_valid(corp: Recording) -> None:
    for each in corp.objects:
        if each.key[0] != "ServiceMonitor":
            kubernetes_validate.validate(each.manifest, "1.37", strict=True)


def test_what_a_stack_says_of_its_pods_goes_before_it() -> None:
    pods = {"ado:pods": {"env": {"HTTPS_PROXY": "http://other:1"}}}
    stack = record_stack("dev", changes={**NETWORK, **pods})
    (gateway,) = stack.get("Deployment", "ado-api-gateway")["spec"]["template"]["spec"][
        "containers"
    ]
    assert _told(gateway)["HTTPS_PROXY"] == "http://other:1"
    assert _told(gateway)["https_proxy"] == "http://proxy.corp:3128"


def test_a_stack_that_says_nothing_has_nothing(prod: Recording) -> None:
    assert not [name for each in _containers_of(prod) for name in _told(each) if "proxy" in name]
    options = network_options(NetworkSettings())
    assert not options.env
    assert not options.volumes
    one = NetworkSettings.model_validate({"proxy": {"http": "http://p:1"}})
    assert network_options(one).env.keys() == {"HTTP_PROXY", "NO_PROXY", "http_proxy", "no_proxy"}


def _containers_of(stack: Recording) -> list[dict[str, Any]]:
    return [container for pod in _pods(stack) for container in pod["containers"]]


def test_a_part_that_stands_alone_has_it_from_its_site() -> None:
    settings = NetworkSettings.model_validate({"proxy": PROXY})
    site = Site("shop", namespace="shop", network=settings)
    assert site.extension().options.env["HTTPS_PROXY"] == "http://proxy.corp:3128"


@pytest.mark.parametrize(
    ("network", "told"),
    [
        ({"proxy": {"https": "http://me:canary@proxy:1"}}, "carries credentials"),
        ({"proxy": {"https": "proxy:3128"}}, "ado:network.proxy.https"),
        ({"proxy": {"bypass": [".corp"]}}, "has bypass, and neither https nor http"),
        ({"proxy": {**PROXY, "bypass": ["a,b"]}}, r"ado:network.proxy.bypass[0]"),
        ({"caBundle": {"key": "x"}}, "ado:network.caBundle.configMap is missing"),
    ],
)
def test_what_is_wrong_is_named(network: dict[str, Any], told: str) -> None:
    configure(merged(stack_config("dev"), {"ado:network": network}), SECRETS)
    with pytest.raises(pulumi.RunError) as refused:
        load_stack()
    assert told in str(refused.value)
    assert "canary" not in str(refused.value)
