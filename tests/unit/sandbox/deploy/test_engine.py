"""What of a stack file the sandbox's engine takes over, and how its events are taken in."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi import automation
from pulumi.automation import events

from ado_infra.secrets import STORE_SECRETS, ConfigSecret
from sandbox.cluster import object_storage
from sandbox.deploy import deployed, mishaps, stack_files
from sandbox.deploy.engine import Engine, OnEvent
from sandbox.deploy.outcome import Outcome
from sandbox.errors import SandboxError
from sandbox.paths import Sandbox


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("config: [\n", "line 2"),
        ("a: 1\na: 2\n", "line 2"),
        ("- a\n", "must be mappings"),
        ("config: text\n", "must be mappings"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused_by_name(
    tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(content)
    with pytest.raises(SandboxError, match=message) as refused:
        stack_files.load(file)
    assert str(refused.value).startswith(str(file))


@pytest.mark.parametrize("content", ["", "# nothing\n", "config:\n"])
def test_an_empty_file_says_nothing(tmp_path: Path, content: str) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(content)
    assert not stack_files.load(file).get("config")


def test_keys_of_the_backup_alone_are_not_put_in(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    keys = "".join(f"  {key}: {{secure: x}}\n" for key in sorted(stack_files.BACKUP_KEYS))
    file.write_text(f"config:\n{keys}  ado:redisUrl: {{secure: x}}\n")
    (tmp_path / "copy").mkdir()
    missing = stack_files.copy_stack(file, tmp_path / "copy")
    assert "ado:redisUrl" in missing
    assert not missing & stack_files.BACKUP_KEYS


def test_a_secret_that_the_cluster_has_is_not_put_in_and_not_kept(tmp_path: Path) -> None:
    file, copies = tmp_path / "Pulumi.dev.yaml", tmp_path / "copy"
    copies.mkdir()
    (copies / file.name).write_text("config:\n  ado:googleApiKey: {secure: x}\n")
    named = "{googleApiKey: {secret: s}, objectStorageAccessKey: {secret: s}}"
    storage = "{endpoint: 'https://s3.example.com', credentials: workloadIdentity}"
    file.write_text(f"config:\n  ado:secrets: {named}\n  ado:objectStorage: {storage}\n")
    missing = stack_files.copy_stack(file, copies)
    assert missing == {"ado:anthropicApiKey", stack_files.SECRET_KEY}
    config = stack_files.load(copies / file.name)["config"]
    assert config.keys() == {"ado:secrets", "ado:objectStorage"}
    assert "credentials" not in config["ado:objectStorage"]


def test_every_secret_that_production_demands_is_put_in() -> None:
    never = {*STORE_SECRETS, ConfigSecret.BACKUP_ACCESS_KEY, ConfigSecret.BACKUP_SECRET_KEY}
    never |= {ConfigSecret.REGISTRY_PASSWORD}
    demanded = {f"ado:{secret}" for secret in set(ConfigSecret) - never}
    assert demanded == {
        *stack_files.STAND_IN_SECRETS,
        stack_files.ACCESS_KEY,
        stack_files.SECRET_KEY,
    }


def test_a_stacks_object_storage_is_led_to_the_sandboxs_and_keeps_its_buckets() -> None:
    section = {
        "endpoint": "https://s3.example.com",
        "region": "eu-1",
        "buckets": {"artifacts": "a"},
    }
    config: dict[str, Any] = {stack_files.OBJECT_STORAGE: section}
    stack_files.use_own_object_storage(config)
    own = {"endpoint": object_storage.ENDPOINT, "region": object_storage.REGION}
    assert config == {stack_files.OBJECT_STORAGE: {"buckets": {"artifacts": "a"}, **own}}


@pytest.mark.parametrize("config", [{}, {stack_files.OBJECT_STORAGE: "not a mapping"}])
def test_a_stack_without_object_storage_is_given_none(config: dict[str, Any]) -> None:
    before = dict(config)
    stack_files.use_own_object_storage(config)
    assert config == before


def test_what_the_automation_api_stumbles_over_is_no_error_of_the_stack() -> None:
    outcome = Outcome()
    for message in ("ado:redis.volume is wrong", "Exception calling application: invalid state"):
        said = {"message": message, "color": "never", "severity": "error"}
        outcome.see(events.EngineEvent.from_json({"diagnosticEvent": said}))
    assert outcome.errors == ["ado:redis.volume is wrong"]


def given(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, config: str
) -> tuple[Engine, dict[str, str]]:
    """An engine for a stack with this config after it has given secrets, and which."""
    secrets: dict[str, str] = {}
    made = Engine.__new__(Engine)  # its constructor would prepare the real engine
    made._sandbox, made._name = sandbox, "dev"
    made.project.mkdir(parents=True, exist_ok=True)
    original = made.project.parent / "Pulumi.dev.yaml"
    original.write_text(f"config: {config}\n")
    made._demanded = stack_files.copy_stack(original, made.project)
    monkeypatch.setattr(made, "_set_secret", secrets.__setitem__)
    made._give_secrets()
    return made, secrets


def test_a_stack_with_object_storage_gets_keys_that_open_the_sandboxs(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, secrets = given(sandbox, monkeypatch, "{ado:objectStorage: {}}")
    keys = object_storage.credentials(sandbox)
    for key in stack_files.STAND_IN_SECRETS:
        assert secrets.pop(key).startswith(f"sandbox-{key.removeprefix('ado:')}-")
    assert secrets == {
        stack_files.ACCESS_KEY: keys.access_key,
        stack_files.SECRET_KEY: keys.secret_key,
    }
    assert made.stand_in_secrets == list(stack_files.STAND_IN_SECRETS)
    assert made.given_object_storage


def test_a_stand_in_that_is_made_anew_is_the_same_in_its_sandbox_and_another_elsewhere(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first = given(sandbox, monkeypatch, "{}")
    _, again = given(sandbox, monkeypatch, "{}")
    _, elsewhere = given(Sandbox(f"{sandbox.name}-2"), monkeypatch, "{}")
    assert first == again
    assert not set(first.values()) & set(elsewhere.values())


def test_keys_that_were_encrypted_for_another_storage_give_way_to_those_that_open(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = f"{{{stack_files.SECRET_KEY}: {{secure: x}}, ado:databasePassword: {{secure: y}}}}"
    _, secrets = given(sandbox, monkeypatch, foreign)
    assert secrets[stack_files.SECRET_KEY] == object_storage.credentials(sandbox).secret_key
    assert secrets["ado:databasePassword"].startswith("sandbox-")


def test_a_stack_that_names_no_object_storage_gets_no_keys(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, secrets = given(sandbox, monkeypatch, "{ado:gateway: {}}")
    assert set(secrets) == set(stack_files.STAND_IN_SECRETS)
    assert not made.given_object_storage


def test_the_engines_events_are_drained_although_nobody_can_show_them(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Engine.__new__(Engine)
    made._sandbox = sandbox
    shown: list[int] = []

    def show(event: events.EngineEvent) -> None:
        shown.append(event.sequence)
        raise BrokenPipeError

    taken_in: list[events.EngineEvent] = []
    monkeypatch.setattr(Outcome, "see", lambda _, event: taken_in.append(event))

    def engine(see: OnEvent) -> automation.PreviewResult:
        for sequence in range(3):
            see(events.EngineEvent(sequence, 0))
        return automation.PreviewResult("", "", {})

    with pytest.raises(BrokenPipeError):
        made._run(engine, show)
    assert shown == [0]
    assert len(taken_in) == 3


def test_an_engine_that_is_killed_says_so_once_and_nothing_else(sandbox: Sandbox) -> None:
    made = Engine.__new__(Engine)
    made._sandbox = sandbox

    def engine(see: OnEvent) -> automation.PreviewResult:
        failed = {"message": "redis: refused", "color": "never", "severity": "error"}
        see(events.EngineEvent.from_json({"diagnosticEvent": failed}))
        # As the Automation API does, which is an error in these tests.
        warnings.warn("Error in event stream: <_MultiThreadedRendezvous", stacklevel=1)
        raise automation.errors.CommandError(automation.CommandResult("Updating …", "", -9))

    outcome = made._run(engine, None)
    assert not outcome.succeeded
    assert outcome.errors == ["redis: refused", mishaps.ENGINE_ENDED]


class Stack:
    """The engine's stack, as far as an `up` writes its state."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.fails = False

    def up(self, **_: object) -> SimpleNamespace:
        self.state.parent.mkdir(parents=True, exist_ok=True)
        self.state.write_text("{}")
        if self.fails:
            raise automation.errors.CommandError(automation.CommandResult("", "no", 1))
        return SimpleNamespace(stdout="")


@pytest.fixture
def upped(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    """An engine after an `up` of a small checkout."""
    made, _ = given(sandbox, monkeypatch, "{ado:profile: development}")
    made._checkout, made.versions = tmp_path / "checkout", "1.0"
    made._checkout.mkdir()
    (made._checkout / "__main__.py").write_text("protect = False")
    (made.project / "Pulumi.yaml").write_text("name: ado")
    made._stack = Stack(made.backend / ".pulumi" / "stacks" / "ado" / "dev.json")  # pyright: ignore[reportAttributeAccessIssue]
    assert not made.is_as_deployed
    assert made.up().succeeded
    return made


def test_what_is_as_deployed_stays_so_whoever_writes_the_settings_anew(upped: Engine) -> None:
    settings = upped.project / "Pulumi.dev.yaml"
    (upped._checkout / "notes.md").write_text("read by no program")
    (upped._checkout / "gone.py").symlink_to("nowhere")
    settings.write_text(json.dumps(stack_files.load(settings)))
    assert upped.is_as_deployed


@pytest.mark.parametrize("changed", ["program", "library", "settings", "versions", "state"])
def test_anything_that_no_plan_might_show_is_deployed_again(upped: Engine, changed: str) -> None:
    match changed:
        case "program":
            (upped._checkout / "__main__.py").write_text("protect = True")
        case "library":
            (upped._checkout / "_lib").mkdir()
            (upped._checkout / "_lib" / "new.py").touch()
        case "settings":
            with (upped.project / "Pulumi.dev.yaml").open("a") as file:
                file.write("  ado:protectData: true\n")
        case "versions":
            upped.versions = "1.1"
        case _:
            (state,) = deployed.states(upped._sandbox)
            state.write_text("{ }")
    assert not upped.is_as_deployed


def test_a_setting_that_yaml_takes_for_a_date_is_one_like_others(upped: Engine) -> None:
    settings = upped.project / "Pulumi.dev.yaml"
    settings.write_text("config: {ado:gateway: {image: {tag: 2026-11-29}}}\n")
    assert not upped.is_as_deployed
    assert upped.up().succeeded
    assert upped.is_as_deployed


def test_an_up_that_failed_has_deployed_nothing(upped: Engine) -> None:
    upped._stack.fails = True  # pyright: ignore[reportAttributeAccessIssue]
    (upped._checkout / "__main__.py").write_text("protect = True")
    assert not upped.up().succeeded
    assert not upped.is_as_deployed
