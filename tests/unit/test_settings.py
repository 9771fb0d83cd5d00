"""A stack's config: what is refused, and how it is said."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from ado_infra import load_settings
from tests.unit.recording import (
    SECRETS,
    Recording,
    configure,
    merged,
    record_stack,
    stack_config,
)


def _refusal(changes: dict[str, Any], secrets: dict[str, str] | None = None) -> str:
    """The message with which the dev stack, so changed, is refused."""
    configure(merged(stack_config("dev"), changes), SECRETS if secrets is None else secrets)
    with pytest.raises(pulumi.RunError) as refused:
        load_settings()
    return str(refused.value)


GATEWAY = "ado:gateway"
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown room": ({"ado:gatway": {}}, r"ado:gatway is unknown; did you mean gateway\?"),
    "room of later": ({"ado:postgres": {}}, "ado:postgres is unknown; known are profile"),
    "unknown key": (
        {GATEWAY: {"scaling": {"minReplica": 1}}},
        r"ado:gateway.scaling.minReplica is unknown; did you mean minReplicas\?",
    ),
    "number in quotes": (
        {GATEWAY: {"scaling": {"minReplicas": "3"}}},
        'ado:gateway.scaling.minReplicas = "3": must be a valid integer',
    ),
    "text for a boolean": ({"ado:protectData": "yes"}, 'ado:protectData = "yes": must be a valid'),
    "number for a tag": (
        {GATEWAY: {"image": {"tag": 1.1}}},
        "ado:gateway.image.tag = 1.1: must be a valid string",
    ),
    "fraction for a number": (
        {"ado:dashboard": {"replicas": 1.5}},
        "ado:dashboard.replicas = 1.5: must be a valid integer",
    ),
    "list for a mapping": ({"ado:images": ["x"]}, "ado:images: must be an object"),
    "minimum over maximum": (
        {GATEWAY: {"scaling": {"minReplicas": 9}}},
        "ado:gateway.scaling: minReplicas 9 exceeds maxReplicas 2",
    ),
    "cpu request over limit": (
        {GATEWAY: {"resources": {"requests": {"cpu": "3"}}}},
        "requests.cpu 3 exceeds limits.cpu 500m",
    ),
    "memory request over limit": (
        {GATEWAY: {"resources": {"requests": {"memory": "1Gi"}}}},
        "requests.memory 1Gi exceeds limits.memory 512Mi",
    ),
    "latest": ({GATEWAY: {"image": {"tag": "latest"}}}, "ado:gateway.image: the tag 'latest'"),
    "no tag": ({GATEWAY: {"image": {"tag": None}}}, "needs exactly one of tag and digest"),
    "tag beyond ASCII": ({GATEWAY: {"image": {"tag": "café"}}}, 'ado:gateway.image.tag = "café"'),
    "cpu beyond ASCII": (
        {GATEWAY: {"resources": {"requests": {"cpu": "\uff15m"}}}},
        'ado:gateway.resources.requests.cpu = "\uff15m": is no CPU quantity',
    ),
    "Python's spelling": (
        {GATEWAY: {"scaling": {"min_replicas": 1}}},
        r"ado:gateway.scaling.min_replicas is unknown; did you mean minReplicas\?",
    ),
    "a path without --path": (
        {"ado:gateway.image.tag": "0.2.0"},
        "pulumi config set --path gateway.image.tag VALUE",
    ),
    "tag and digest": (
        {GATEWAY: {"image": {"digest": "sha256:" + "a" * 64}}},
        "needs exactly one of tag and digest",
    ),
    "short digest": (
        {GATEWAY: {"image": {"tag": None, "digest": "sha256:abc"}}},
        'ado:gateway.image.digest = "sha256:abc"',
    ),
    "registry host": (
        {"ado:images": {"registry": "my_registry.example.com/ado"}},
        "ado:images.registry = .*is no DNS name",
    ),
    "registry with scheme": (
        {"ado:images": {"registry": "https://registry.example.com/ado"}},
        "is no image registry",
    ),
    "tracing host": (
        {"ado:config": {"observability": {"tracing": {"endpoint": "http://-x-:1/api"}}}},
        "ado:config.observability.tracing.endpoint = .*is no DNS name",
    ),
    "budget that blocks": (
        {GATEWAY: {"disruption": {"maxUnavailable": None, "minAvailable": 1}}},
        "disruption.minAvailable 1 of 1 would block every node drain",
    ),
    "budget of none": (
        {"ado:dashboard": {"disruption": {"maxUnavailable": "0%"}}},
        "disruption.maxUnavailable 0% would block every node drain",
    ),
    "negative replicas": (
        {"ado:dashboard": {"replicas": -1}},
        "ado:dashboard.replicas = -1: must be greater than or equal to 1",
    ),
    "absurd replicas": (
        {"ado:dashboard": {"replicas": 10**7}},
        "must be less than or equal to 1000",
    ),
    "negative cpu": (
        {GATEWAY: {"resources": {"requests": {"cpu": "-1"}}}},
        'ado:gateway.resources.requests.cpu = "-1": is no CPU quantity',
    ),
    "absurd memory": (
        {GATEWAY: {"resources": {"limits": {"memory": "99Ti"}}}},
        'limits.memory = "99Ti": is out of range',
    ),
    "derived server": ({"ado:config": {"server": {"port": 1}}}, "server is derived"),
    "relative health path": (
        {GATEWAY: {"health": {"ready": "ready"}}},
        'ado:gateway.health.ready = "ready"',
    ),
    "unknown profile": ({"ado:profile": "prod"}, "must be 'development' or 'production'"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_setting_is_named_with_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    refusal = _refusal(changes)
    assert refusal.startswith("The settings of this stack have 1 problem:")
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(refusal)


def test_a_wrong_setting_registers_nothing() -> None:
    registered = Recording()
    with pytest.raises(pulumi.RunError, match="gatway"):
        record_stack("dev", changes={"ado:gatway": {}}, into=registered)
    assert registered.resources == []


def test_problems_in_several_rooms_are_all_named_at_once() -> None:
    refusal = _refusal(
        {
            "ado:gatway": {},
            "ado:gateway": {"scaling": {"minReplicas": "3"}, "image": {"tag": "latest"}},
            "ado:dashboard": {"replicas": 0},
            "ado:images": {"registry": "a b"},
        }
    )
    assert refusal.startswith("The settings of this stack have 5 problems:")
    for key in ("ado:gatway", "minReplicas", "latest", "ado:dashboard.replicas", "registry"):
        assert key in refusal


def test_productions_demands_are_named_beside_what_is_wrong_elsewhere() -> None:
    wrong = {"ado:protectData": False, "ado:gateway": {"image": {"tag": "latest"}}}
    configure(merged(stack_config("prod"), wrong), {})
    with pytest.raises(pulumi.RunError, match="have 4 problems") as refused:
        load_settings()
    for part in ("protectData = false", "latest", "anthropicApiKey", "googleApiKey"):
        assert part in str(refused.value)


def test_a_missing_image_is_named_with_the_command_that_gives_it() -> None:
    configure({"ado:dashboard": {"image": {"tag": "1"}}}, {})
    with pytest.raises(pulumi.RunError, match=r"ado:gateway is missing\n.*'ado:gateway.image.tag'"):
        load_settings()


def test_a_secret_in_plain_text_is_refused_without_showing_it() -> None:
    refusal = _refusal({"ado:anthropicApiKey": "sk-ant-canary"}, secrets={})
    assert "ado:anthropicApiKey is in plain text" in refusal
    assert "pulumi config set --secret anthropicApiKey" in refusal
    assert "canary" not in refusal


def test_an_encrypted_value_inside_a_room_is_refused_without_showing_it() -> None:
    config = stack_config("dev")
    del config["ado:gateway"]
    configure(config, {"ado:gateway": '{"image": {"tag": "canary"}}'})
    with pytest.raises(pulumi.RunError, match="ado:gateway holds an encrypted value") as refused:
        load_settings()
    assert "canary" not in str(refused.value)
    assert "1 problem" in str(refused.value)


def test_the_value_of_an_unknown_key_is_never_shown() -> None:
    refusal = _refusal({"ado:anthropicApikey": "canary", "ado:gateway": {"apiKey": "canary"}})
    assert "did you mean anthropicApiKey?" in refusal
    assert "canary" not in refusal


def test_credentials_in_a_url_are_never_shown() -> None:
    refusal = _refusal({"ado:images": {"registry": "https://user:canary@registry.example.com"}})
    assert "ado:images.registry" in refusal
    assert "canary" not in refusal


def test_production_names_every_missing_secret_with_its_command() -> None:
    configure(stack_config("prod"), {})
    with pytest.raises(pulumi.RunError) as refused:
        load_settings()
    for key in ("anthropicApiKey", "googleApiKey"):
        assert f"pulumi config set --secret {key}" in str(refused.value)


def test_an_empty_secret_is_refused() -> None:
    assert "ado:googleApiKey is empty" in _refusal({}, {**SECRETS, "ado:googleApiKey": " "})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ado:protectData": False}, "ado:protectData = false: profile production demands true"),
        (
            {"ado:dashboard": {"replicas": 1}},
            "ado:dashboard.replicas = 1: .*\n.*--path 'ado:dashboard.replicas' 2",
        ),
    ],
)
def test_production_demands_what_it_demands(changes: dict[str, Any], message: str) -> None:
    configure(merged(stack_config("prod"), changes), SECRETS)
    with pytest.raises(pulumi.RunError, match=message):
        load_settings()


def test_development_needs_no_secret() -> None:
    secret = record_stack("dev", secrets={}).get("Secret", "ado-agent-credentials")
    assert not secret.get("data")


def test_the_profile_and_not_the_name_of_the_stack_decides() -> None:
    relaxed = {"ado:profile": "development", "ado:protectData": False}
    assert record_stack("prod", changes=relaxed, secrets={}).objects
