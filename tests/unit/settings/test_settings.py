"""A stack's config: what is refused, and how it is said; production: test_production.py."""

from __future__ import annotations

import re
from typing import Any

import pulumi
import pytest

from ado_infra import load_stack
from ado_infra.settings import Mode, RedisSettings, errors
from ado_infra.settings.errors import Renamed
from tests.support.manifests import environment
from tests.support.recording import (
    SECRETS,
    Recording,
    configure,
    merged,
    record_stack,
    settings_of,
    stack_config,
)
from tests.support.wrong_settings import IMAGE, WRONG


def _refusal(changes: dict[str, Any], secrets: dict[str, str] | None = None) -> str:
    """The message with which the dev stack, so changed, is refused."""
    configure(merged(stack_config("dev"), changes), SECRETS if secrets is None else secrets)
    with pytest.raises(pulumi.RunError) as refused:
        load_stack()[0]
    return str(refused.value)


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_setting_is_named_with_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    refusal = _refusal(changes)
    assert refusal.startswith("The settings of this stack have 1 problem:")
    assert re.search(message, refusal), refusal


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
            "ado:edge": {"host": "-"},
            "ado:workerPools": {"gpu": {}, "default": {"drain": {"gracePeriod": 1}}},
            "ado:redis": {"volume": {"size": "x"}},
            "ado:objectStorage": {"endpoint": "x"},
            "ado:migrations": {"command": []},
        }
    )
    assert refusal.startswith("The settings of this stack have 11 problems:")
    for key in (
        "ado:gatway",
        "ado:gateway.scaling.minReplicas",
        "latest",
        "ado:dashboard.replicas",
        "ado:images.registry",
        "ado:edge.host",
        "ado:workerPools.gpu.image",
        "ado:workerPools.default: drain.gracePeriod",
        "ado:redis.volume.size",
        "ado:objectStorage.endpoint",
        "ado:migrations.command",
    ):
        assert key in refusal


@pytest.mark.parametrize(
    ("section", "leaf"),
    [
        ("gateway", "gateway.image.tag"),
        ("orchestrator", "orchestrator.image.tag"),
        ("workerPools", "workerPools.NAME.image.tag"),
        ("edge", "edge.host"),
        ("objectStorage", "objectStorage.endpoint"),
    ],
)
def test_a_missing_section_is_named_with_a_command_that_gives_it(section: str, leaf: str) -> None:
    config = stack_config("dev")
    del config[f"ado:{section}"]
    configure(config, SECRETS)
    with pytest.raises(pulumi.RunError, match=f"ado:{section} is missing\n.*'ado:{leaf}' VALUE"):
        load_stack()[0]


def test_a_stack_without_any_pool_is_refused() -> None:
    configure({**stack_config("dev"), "ado:workerPools": {}}, SECRETS)
    with pytest.raises(pulumi.RunError, match=r"ado:workerPools: names no pool"):
        load_stack()[0]


@pytest.mark.parametrize("name", ["a", "gpu-2", "a" * 40])
def test_a_pool_may_have_any_name_that_its_objects_can_carry(name: str) -> None:
    assert set(settings_of("dev", {"ado:workerPools": {name: IMAGE}}).worker_pools) == {
        "default",
        name,
    }


@pytest.mark.parametrize(
    "service",
    [
        {"region": "RegionOne"},
        {"region": "EU"},
        {"region": "default:placement"},
        {"buckets": {"artifacts": "my_bucket"}},
        {"buckets": {"artifacts": "Legacy_Bucket."}},
        {"endpoint": "http://[fd00::10]:9000"},
        {"endpoint": "https://[2001:db8::1]"},
        {"endpoint": "http://10.0.0.5:9000"},
    ],
    ids=str,
)
def test_any_s3_compatible_service_may_be_named(service: dict[str, Any]) -> None:
    made = record_stack("dev", changes={"ado:objectStorage": service})
    told = environment(made, "ado-orchestrator")
    said = {"S3_ENDPOINT": service.get("endpoint"), "S3_REGION": service.get("region")}
    said["S3_BUCKET_ARTIFACTS"] = service.get("buckets", {}).get("artifacts")
    for variable, value in said.items():
        assert value is None or told[variable] == value


def test_nodes_of_redis_may_have_addresses_of_either_kind() -> None:
    nodes = ("10.0.0.1:6379", "[fd00::1]:6379", "redis-2.example.com:6379")
    assert RedisSettings(mode=Mode.EXTERNAL, nodes=nodes).nodes == nodes


def test_rooms_with_defaults_may_be_left_out() -> None:
    config = stack_config("dev")
    for section in ("postgres", "redis"):
        del config[f"ado:{section}"]
    configure(config, SECRETS)
    assert load_stack()[0].postgres.max_connections == 400


def test_a_stack_file_that_stack_init_has_rewritten_means_the_same() -> None:
    # It writes `ado:protectData: false` anew as "false".
    for value in ("false", "true"):
        configure(stack_config("dev") | {"ado:protectData": value}, SECRETS)
        assert load_stack()[0].protect_data is (value == "true")


def test_a_secret_in_plain_text_is_refused_without_showing_it() -> None:
    refusal = _refusal({"ado:anthropicApiKey": "sk-ant-canary"}, secrets={})
    assert "ado:anthropicApiKey is in plain text" in refusal
    assert "pulumi config set --secret ado:anthropicApiKey" in refusal
    assert "canary" not in refusal


def test_an_encrypted_value_inside_a_section_is_refused_without_showing_it() -> None:
    config = stack_config("dev")
    del config["ado:gateway"]
    configure(config, {"ado:gateway": '{"image": {"tag": "canary"}}'})
    with pytest.raises(pulumi.RunError, match="ado:gateway holds an encrypted value") as refused:
        load_stack()[0]
    assert "canary" not in str(refused.value)
    assert "1 problem" in str(refused.value)


def test_the_value_of_an_unknown_key_is_never_shown() -> None:
    refusal = _refusal({"ado:anthropicApikey": "canary", "ado:gateway": {"apiKey": "canary"}})
    assert "did you mean anthropicApiKey?" in refusal
    assert "canary" not in refusal


@pytest.mark.parametrize("section", ["ado:images", "ado:objectStorage", "ado:config"])
@pytest.mark.parametrize(
    "credentials", ["user:canary", "canary", "user:p@canary", "user:p/canary", "a user:canary"]
)
def test_credentials_in_a_url_are_refused_and_never_shown(section: str, credentials: str) -> None:
    url = f"https://{credentials}@s3.example.com"
    sections: dict[str, dict[str, Any]] = {
        "ado:images": {"registry": url},
        "ado:objectStorage": {"endpoint": url},
        "ado:config": {"observability": {"tracing": {"endpoint": url}}},
    }
    refusal = _refusal({section: sections[section]})
    assert '= "https://…@s3.example.com": ' in refusal
    assert "canary" not in refusal


def test_an_empty_secret_is_refused() -> None:
    assert "ado:googleApiKey is empty" in _refusal({}, {**SECRETS, "ado:googleApiKey": " "})


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n"])
def test_a_secret_that_a_pipe_ended_with_a_line_break_is_refused(secret: str, ending: str) -> None:
    refusal = _refusal({}, {**SECRETS, secret: f"canary{ending}"})
    assert f"{secret} ends with a line break" in refusal
    mend = f"pulumi config get {secret} | tr -d '\\r\\n' | pulumi config set --secret {secret}"
    assert mend in refusal
    assert "canary" not in refusal


@pytest.mark.parametrize(
    ("old", "new", "given", "said"),
    [
        (
            "ado:edge.hostname",
            "ado:edge.host",
            {"ado:edge": {"hostname": "canary"}},
            (
                "ado:edge.hostname is now ado:edge.host; move the value there in the stack's file"
                "\n    pulumi config rm --path 'ado:edge.hostname'"
            ),
        ),
        (
            "ado:workerPools.*.drain.before",
            "ado:workerPools.*.drain.preStop",
            {"ado:workerPools": {"default": {"drain": {"before": 1}}}},
            "ado:workerPools.default.drain.before is now ado:workerPools.default.drain.preStop;",
        ),
        (
            "ado:s3",
            "ado:objectStorage",
            {"ado:s3": {}},
            "ado:s3 is now ado:objectStorage; move the value there in the stack's file",
        ),
        (
            "ado:claudeApiKey",
            "ado:anthropicApiKey",
            {"ado:claudeApiKey": "canary"},
            "ado:claudeApiKey is now ado:anthropicApiKey;",
        ),
    ],
    ids=["key", "key of a pool", "section", "secret"],
)
def test_a_renamed_key_is_refused_with_its_new_name(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, given: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(errors, "NO_LONGER", {old: Renamed(new)})
    refusal = _refusal(given)
    assert said in refusal
    assert "1 problem" in refusal
    assert "canary" not in refusal
