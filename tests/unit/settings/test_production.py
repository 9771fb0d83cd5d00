"""What the production profile demands, and that it demands nothing more."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from jsonschema import Draft7Validator

from ado_infra import load_stack
from ado_infra.schema import stack_schema
from tests.support.recording import SECRETS, configure, merged, record_stack, stack_config

REQUIRED = "antiAffinity = preferred: profile production demands required"
AT_LEAST_TWO = "profile production demands at least 2"
POOLS = "ado:workerPools"
ONE_GATEWAY = {"scaling": {"minReplicas": 1}, "disruption": {"maxUnavailable": 1}}
DEMANDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "protection": (
        {"ado:protectData": False},
        "ado:protectData = false: profile production demands true",
        "pulumi config rm ado:profile",
    ),
    "TLS": (
        {"ado:edge": {"tlsIssuer": None}},
        "ado:edge.tlsIssuer is missing; profile production demands one",
        "pulumi config set --path 'ado:edge.tlsIssuer' NAME",
    ),
    "two gateways": (
        {"ado:gateway": ONE_GATEWAY},
        f"ado:gateway.scaling.minReplicas = 1: {AT_LEAST_TWO}",
        "pulumi config set --path 'ado:gateway.scaling.minReplicas' 2",
    ),
    "two dashboards": (
        {"ado:dashboard": {"replicas": 1}},
        f"ado:dashboard.replicas = 1: {AT_LEAST_TWO}",
        "pulumi config set --path 'ado:dashboard.replicas' 2",
    ),
    "two orchestrators": (
        {"ado:orchestrator": {"replicas": 1}},
        f"ado:orchestrator.replicas = 1: {AT_LEAST_TWO}",
        "pulumi config set --path 'ado:orchestrator.replicas' 2",
    ),
    "two workers": (
        {POOLS: {"default": {"scaling": {"minReplicas": 1}}}},
        f"ado:workerPools.default.scaling.minReplicas = 1: {AT_LEAST_TWO}",
        "pulumi config set --path 'ado:workerPools.default.scaling.minReplicas' 2",
    ),
    "two workers in every pool": (
        {POOLS: {"gpu": {"image": {"tag": "1"}, "scaling": {"minReplicas": 1}}}},
        f"ado:workerPools.gpu.scaling.minReplicas = 1: {AT_LEAST_TWO}",
        "pulumi config set --path 'ado:workerPools.gpu.scaling.minReplicas' 2",
    ),
    "orchestrators apart": (
        {"ado:orchestrator": {"antiAffinity": "preferred"}},
        f"ado:orchestrator.{REQUIRED}",
        "pulumi config set --path 'ado:orchestrator.antiAffinity' required",
    ),
    "PostgreSQL apart": (
        {"ado:postgres": {"antiAffinity": "preferred"}},
        f"ado:postgres.{REQUIRED}",
        "pulumi config set --path 'ado:postgres.antiAffinity' required",
    ),
    "Redis apart": (
        {"ado:redis": {"antiAffinity": "preferred"}},
        f"ado:redis.{REQUIRED}",
        "pulumi config set --path 'ado:redis.antiAffinity' required",
    ),
}


def _without_nothing(config: dict[str, Any]) -> dict[str, Any]:
    """What a file says that does not have the keys whose value here is None."""
    return {
        key: _without_nothing(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if value is not None
    }


def _refusal(changes: dict[str, Any], secrets: dict[str, str] | None = None) -> str:
    """The message with which the prod stack, so changed, is refused."""
    config = _without_nothing(merged(stack_config("prod"), changes))
    configure(config, SECRETS if secrets is None else secrets)
    with pytest.raises(pulumi.RunError) as refused:
        load_stack()[0]
    return str(refused.value)


@pytest.mark.parametrize(("changes", "problem", "command"), DEMANDS.values(), ids=DEMANDS.keys())
def test_a_demand_is_named_with_the_command_that_meets_it(
    changes: dict[str, Any], problem: str, command: str
) -> None:
    first, named, mended = _refusal(changes).splitlines()
    assert first == "The settings of this stack have 1 problem:"
    assert named.strip().startswith(problem)
    assert mended.strip() == command


@pytest.mark.parametrize(
    "key", ["anthropicApiKey", "googleApiKey", "objectStorageAccessKey", "objectStorageSecretKey"]
)
def test_each_secret_is_demanded_with_its_command(key: str) -> None:
    given = {name: value for name, value in SECRETS.items() if name != f"ado:{key}"}
    assert _refusal({}, given).splitlines() == [
        "The settings of this stack have 1 problem:",
        f"  ado:{key} is missing; profile production demands it",
        f"    pulumi config set --secret ado:{key}",
    ]


def test_passwords_that_can_be_generated_are_not_demanded() -> None:
    refusal = _refusal({}, {})
    assert refusal.startswith("The settings of this stack have 4 problems:")
    assert "Password" not in refusal


def test_all_demands_are_named_at_once_beside_what_is_wrong_elsewhere() -> None:
    changes: dict[str, Any] = {"ado:gatway": {}}
    for demand, _, _ in DEMANDS.values():
        changes = merged(changes, demand)
    refusal = _refusal(changes, {})
    for _, problem, command in DEMANDS.values():
        assert problem in refusal
        assert command in refusal
    assert f"have {len(DEMANDS) + 4 + 1} problems:" in refusal


def test_a_tier_that_is_wrong_in_itself_hides_no_demand_on_another() -> None:
    refusal = _refusal(
        {"ado:gateway": {"image": {"tag": "latest"}}, "ado:dashboard": {"replicas": 1}}
    )
    assert refusal.startswith("The settings of this stack have 2 problems:")
    assert "ado:gateway.image: the tag 'latest'" in refusal
    assert "ado:dashboard.replicas = 1" in refusal


@pytest.mark.parametrize("tls", [{"secret": "own"}, {"loadBalancer": True}])
def test_any_way_to_tls_is_one(tls: dict[str, Any]) -> None:
    edge = {"tlsIssuer": None, "tls": tls}
    config = _without_nothing(merged(stack_config("prod"), {"ado:edge": edge}))
    configure(config, SECRETS)
    assert load_stack()[0].edge.encryption
    assert Draft7Validator(stack_schema()).is_valid({"config": config})


def test_nothing_more_is_demanded() -> None:
    least: dict[str, Any] = {
        "ado:gateway": {"scaling": {"minReplicas": 2}, "antiAffinity": "preferred"},
        "ado:dashboard": {"antiAffinity": "preferred"},
        "ado:orchestrator": {"replicas": 2},
        POOLS: {"default": {"scaling": {"minReplicas": 2}, "antiAffinity": "preferred"}},
        "ado:edge": {"controller": "cloud"},
        "ado:monitoring": {"serviceMonitor": False},
    }
    configure(merged(stack_config("prod"), least), SECRETS)
    assert load_stack()[0].orchestrator.replicas == 2


@pytest.mark.parametrize("given", ["objectStorageAccessKey", "objectStorageSecretKey"])
def test_half_of_the_object_storage_keys_is_refused_in_every_profile(given: str) -> None:
    (missing,) = {"objectStorageAccessKey", "objectStorageSecretKey"} - {given}
    configure(stack_config("dev"), {f"ado:{given}": "canary"})
    with pytest.raises(pulumi.RunError) as refused:
        load_stack()[0]
    assert str(refused.value).splitlines() == [
        "The settings of this stack have 1 problem:",
        f"  ado:{missing} is missing; the other of the two keys is given",
        f"    pulumi config set --secret ado:{missing}",
    ]


def test_development_needs_no_secret() -> None:
    stack = record_stack("dev", secrets={})
    for name in ("ado-agent-credentials", "ado-object-storage"):
        assert not stack.get("Secret", name).get("data")


def test_the_profile_and_not_the_name_of_the_stack_decides() -> None:
    configure(merged(stack_config("prod"), {"ado:profile": "development"}), {})
    assert load_stack()[0].protect_data
