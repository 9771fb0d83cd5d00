"""What a stack does without and may regret is said once, in the terms of its settings."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from ado_infra import StackSecrets
from ado_infra.gaps import gaps
from ado_infra.secrets import AgentCredentials, ObjectStorageCredentials
from tests.support.policed import settings_with
from tests.support.recording import record_stack, settings_of

OF_PRODUCTION = ("PostgreSQL has no backup", "Redis has no replicas")


def _gaps(stack: str, changes: dict[str, Any]) -> list[str]:
    given = pulumi.Output.from_input("given")
    secrets = StackSecrets(
        agents=AgentCredentials(anthropic_api_key=given),
        object_storage=ObjectStorageCredentials(access_key=given, secret_key=given),
    )
    return list(gaps(settings_of(stack, changes), secrets))


FROM_ONE_RANGE: dict[str, Any] = {"ado:networkPolicies": {"ingressAddresses": ["10.1.0.0/16"]}}


@pytest.mark.parametrize("controller", ["traefik", "cloud"])
def test_what_a_controller_cannot_be_told_is_a_warning_with_key_and_value(controller: str) -> None:
    edge = {"controller": controller, "bodySize": "7m", "timeout": 90}
    size, timeout = _gaps("dev", {**FROM_ONE_RANGE, "ado:edge": edge})
    assert size.startswith("ado:edge.bodySize = 7m cannot be told to the controller " + controller)
    assert timeout.startswith("ado:edge.timeout = 90 s cannot be told")


def test_nginx_can_be_told_everything() -> None:
    assert _gaps("dev", {"ado:edge": {"bodySize": "7m", "timeout": 90}}) == []


ALB = {"controller": "cloud", "className": "alb"}
TARGETS = "alb.ingress.kubernetes.io/target-type"
PODS = {"annotations": {TARGETS: "ip"}}
NODES = (
    "ado:edge.className = alb: its load balancer asks nodes",
    f"    pulumi config set --path 'ado:edge.annotations[\"{TARGETS}\"]' ip",
)
NO_SECRET = "ado:edge.className = alb: its load balancer reads no Secret, so the certificate of "
AT_THE_LOAD_BALANCER = "    pulumi config set --path 'ado:edge.tls.loadBalancer' true"


@pytest.mark.parametrize(
    ("edge", "said"),
    [
        ({}, [NODES]),
        (PODS, []),
        ({**PODS, "tls": {"loadBalancer": True}}, []),
        (
            {**PODS, "tlsIssuer": "le"},
            [
                (
                    f"{NO_SECRET}edge.tlsIssuer",
                    "    pulumi config rm --path 'ado:edge.tlsIssuer'",
                    AT_THE_LOAD_BALANCER,
                )
            ],
        ),
        (
            {**PODS, "tls": {"secret": "own"}},
            [
                (
                    f"{NO_SECRET}edge.tls ",
                    "    pulumi config rm --path 'ado:edge.tls'",
                    AT_THE_LOAD_BALANCER,
                )
            ],
        ),
    ],
)
def test_what_the_load_balancer_of_aws_does_otherwise_is_told_with_commands(
    edge: dict[str, Any], said: list[tuple[str, ...]]
) -> None:
    told = [
        gap.splitlines()
        for gap in _gaps("dev", {**FROM_ONE_RANGE, "ado:edge": {**ALB, **edge}})
        if "cannot be told" not in gap
    ]
    assert [lines[1:] for lines in told] == [list(commands) for _, *commands in said]
    for lines, (beginning, *_) in zip(told, said, strict=True):
        assert lines[0].startswith(beginning)


def test_production_without_backup_and_replicas_is_told_so() -> None:
    assert tuple(gap.partition(":")[0] for gap in _gaps("prod", {})) == OF_PRODUCTION


@pytest.mark.parametrize(("size", "said"), [("2Gi", False), ("1Gi", True)])
def test_memory_that_redis_has_no_room_for_on_its_volume_is_told(size: str, *, said: bool) -> None:
    told = _gaps("prod", {"ado:redis": {"volume": {"size": size}}})[len(OF_PRODUCTION) :]
    assert [gap.partition(" = 1Gi: ")[0] for gap in told] == (
        ["ado:redis.resources.limits.memory"] if said else []
    )
    assert not said or told[0].endswith("lower it, or grow the volumes to 2Gi")


def test_the_program_says_them() -> None:
    assert len(record_stack("prod").warnings) == len(OF_PRODUCTION)


def _gateway(url: str) -> dict[str, Any]:
    gateway = {"url": url, "keySecret": "gateway"}
    return {"ado:workerPools": {"default": {"modelGateway": gateway}}}


STORAGE_NEAR = {"ado:objectStorage": {"endpoint": "http://10.1.2.3:9000"}}
OPEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ado:networkPolicies.ingressAddresses[0]": (
        {"ado:edge": {"controller": "cloud"}},
        {"ingressAddresses": ["10.1.0.0/16"]},
    ),
    "ado:networkPolicies.egress.database[0].cidr": (
        {"ado:postgres": {"mode": "external"}},
        {"egress": {"database": [{"cidr": "10.1.0.0/16"}]}},
    ),
    "ado:networkPolicies.egress.redis[0].cidr": (
        {"ado:redis": {"mode": "external"}},
        {"egress": {"redis": [{"cidr": "10.1.0.0/16"}]}},
    ),
    "ado:networkPolicies.egress.objectStorage[0].cidr": (
        _gateway("http://models.elsewhere:4000"),
        {"egress": {"objectStorage": [{"cidr": "10.1.0.0/16"}]}},
    ),
    "ado:networkPolicies.egress.modelGateway[0].cidr": (
        {**STORAGE_NEAR, **_gateway("https://models.example.com")},
        {"egress": {"modelGateway": [{"cidr": "93.184.215.0/24"}]}},
    ),
    "ado:networkPolicies.egress.tracing[0].cidr": (
        {
            **STORAGE_NEAR,
            **_gateway("http://models.elsewhere:4000"),
            "ado:config": {"observability": {"tracing": {"endpoint": "https://t.example.com"}}},
        },
        {"egress": {"tracing": [{"cidr": "93.184.215.0/24"}]}},
    ),
}
"""What is to be set → a stack that does not say it, and the section that does."""


@pytest.mark.parametrize("key", OPEN)
def test_what_policies_leave_open_is_told_until_the_stack_says_where_it_is(key: str) -> None:
    stack, said = OPEN[key]

    def told(network: dict[str, Any]) -> list[str]:
        settings = settings_with("dev", {**stack, "ado:networkPolicies": network})
        return [gap for gap in gaps(settings, StackSecrets()) if "networkPolicies" in gap]

    (gap,) = told({})
    assert gap.endswith(f"\n    pulumi config set --path '{key}' CIDR")
    assert told(said) == []
    assert told({"enabled": False}) == []


def test_a_key_of_a_provider_is_missed_where_some_pool_has_no_gateway() -> None:
    pools = _gateway("http://models.elsewhere:4000")

    def told(pools: dict[str, Any]) -> list[str]:
        found = gaps(settings_with("dev", pools), StackSecrets())
        return [gap for gap in found if "key of a model provider" in gap]

    assert told(pools) == []
    pools["ado:workerPools"]["gpu"] = {"image": {"tag": "1.0"}}
    assert len(told(pools)) == 1
