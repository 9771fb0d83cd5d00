"""A secret that a user keeps in a sandbox for a stack."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ado_infra.secrets import ConfigSecret
from sandbox import cli, paths
from sandbox.deploy import stack, stack_files
from sandbox.errors import SandboxError
from sandbox.host import machine


class Keeping:
    """An engine that keeps secrets in a mapping."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {"ado:redisUrl": "old"}
        self.set_secret = self.kept.__setitem__
        self.forget_secret = self.kept.pop


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Keeping:
    keeping = Keeping()

    def given(kept: stack.Stack) -> Keeping:
        assert (kept.sandbox.name, kept.name) == ("other", "prod")
        return keeping

    monkeypatch.setattr(cli, "_with_kubeconfig", lambda called: called.sandbox)
    monkeypatch.setattr(stack.Stack, "_engine", given)
    return keeping


def _run(*arguments: str, given: str = "", project: Path = paths.CHECKOUT) -> Result:
    command = ["secret", *arguments, "--stack", "prod", "--name", "other"]
    command += ["--project", str(project)]
    return CliRunner().invoke(cli.app, command, input=given)


@pytest.mark.parametrize("key", ["databasePassword", "ado:databasePassword"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_it_comes_from_standard_input_and_is_not_shown(engine: Keeping, key: str, end: str) -> None:
    done = _run(key, given=f" canary{end}")
    assert engine.kept["ado:databasePassword"] == " canary"
    again = "`.venv/bin/python -m sandbox up --stack prod --name other` makes use of that"
    assert again in done.output
    assert "canary" not in done.output


def test_it_is_kept_until_it_is_forgotten(engine: Keeping) -> None:
    assert _run("redisUrl", "--forget").exit_code == 0
    assert engine.kept == {}


@pytest.mark.parametrize(("key", "given"), [("databasePasswort", "x"), ("databasePassword", "\n")])
def test_a_slip_is_refused_and_changes_nothing(engine: Keeping, key: str, given: str) -> None:
    before = dict(engine.kept)
    refused = _run(key, given=given).exception
    assert isinstance(refused, SandboxError)
    assert key in str(refused)
    assert engine.kept == before


def test_where_there_is_no_sandbox_the_remedy_starts_the_one_that_was_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "require_root", lambda: None)
    monkeypatch.setattr(paths, "STATE_ROOT", tmp_path)
    refused = str(_run("redisUrl", given="x", project=tmp_path).exception)
    command = f"sandbox up --stack prod --project {tmp_path} --name other` starts it."
    assert refused.endswith(command)


def test_every_secret_of_a_stack_is_known_but_for_those_of_object_storage() -> None:
    own = {stack_files.ACCESS_KEY, stack_files.SECRET_KEY, *stack_files.BACKUP_KEYS}
    assert {*stack_files.SECRETS} == {f"ado:{key}" for key in ConfigSecret} - own
    with pytest.raises(SandboxError, match=r"there are anthropicApiKey, .*registryPassword\.$"):
        stack_files.secret_path("objectStorageSecretKey")


def test_a_stack_file_that_is_copied_anew_leaves_it(tmp_path: Path) -> None:
    file, copy = tmp_path / "Pulumi.dev.yaml", tmp_path / "copy" / "Pulumi.dev.yaml"
    copy.parent.mkdir()
    copy.write_text("encryptionsalt: s\nconfig: {ado:databasePassword: {secure: own}}\n")
    file.write_text("config: {ado:databasePassword: {secure: the user's}, ado:gateway: {}}\n")
    stack_files.copy_stack(file, copy.parent)
    config = stack_files.load(copy)["config"]
    assert config["ado:databasePassword"] == {"secure": "own"}
    assert config["ado:gateway"] == {}
