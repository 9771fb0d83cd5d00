"""Which cluster a command of the operator's talks to, and that it says so."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
import yaml
from kubernetes import client
from typer.testing import CliRunner, Result

from ado_infra import ownership
from ado_infra.ops import cli, rights, target
from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Namespace
from ado_infra.ops.postgres import commands, rotation
from ado_infra.ops.target import Target
from tests.support import kubeconfigs


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the files of a stack, and a kubeconfig of two contexts."""
    file = kubeconfigs.write(tmp_path / "kubeconfig", "here", "far away")
    kubeconfigs.stack_files(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Makes the platform there that of a stack; None is one that does not say."""

    def made(mark: str | None) -> None:
        annotations = {ownership.STACK: mark} if mark else None
        found = SimpleNamespace(metadata=SimpleNamespace(annotations=annotations))
        _answers(monkeypatch, lambda: found)

    return made


def _answers(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], object]) -> None:
    def read(_: object, name: str, namespace: str) -> object:
        assert (name, namespace) == ("ado-config", "ado-system")
        return answer()

    monkeypatch.setattr("kubernetes.client.CoreV1Api.read_namespaced_config_map", read)


def _run(*command: str) -> Result:
    return CliRunner().invoke(cli.app, command)


@pytest.mark.parametrize(
    ("asked", "settings", "where"),
    [
        ((None, None), "{}", ("here", "ado-system")),
        ((None, None), "{kubernetes:context: far away}", ("far away", "ado-system")),
        (("here", None), "{kubernetes:context: far away}", ("here", "ado-system")),
        ((None, None), "{ado:namespace: {name: agents}}", ("here", "agents")),
        ((None, "other"), "{ado:namespace: {name: agents}}", ("here", "other")),
    ],
)
def test_a_command_says_which_cluster_and_namespace_it_talks_to(
    asked: tuple[str | None, str | None],
    settings: str,
    where: tuple[str, str],
    directory: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kubeconfigs.stack_files(directory, settings)
    context, namespace = asked
    Target(stack="dev", context=context, given_namespace=namespace).announce()
    said = capsys.readouterr()
    assert said.err == f"Stack dev · context {where[0]} · namespace {where[1]}\n"
    assert said.out == ""


@pytest.mark.parametrize("name", ["dev", "acme/dev", "acme/ado/dev"])
def test_a_stack_may_be_named_with_its_organisation(
    name: str, runs: Callable[[str | None], None]
) -> None:
    runs("ado/dev")
    target = Target(stack=name)
    assert target.reach().name == "ado-system"
    assert target.file == Path("Pulumi.dev.yaml")


def test_a_stack_of_another_project_is_refused() -> None:
    with pytest.raises(OpsError, match="acme/shop/dev is a stack of project shop; here is project"):
        Target(stack="acme/shop/dev").reach()


@pytest.mark.parametrize("mark", ["ado/prod", "shop/dev"])
@pytest.mark.parametrize(
    "typed", ["status", "status --check", "picture", "postgres status", "redis heal", "adopt"]
)
def test_nothing_is_asked_of_another_stacks_platform(
    typed: str, mark: str, runs: Callable[[str | None], None]
) -> None:
    runs(mark)
    done = _run(*typed.split(), "--stack", "dev")
    project, _, stack = mark.partition("/")
    assert done.exit_code == 1
    assert f"is stack {stack} of project {project}, not dev of ado: nothing was asked" in str(
        done.exception
    )


def test_a_platform_that_does_not_say_whose_it_is_is_warned_of(
    runs: Callable[[str | None], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def warning() -> str:
        Target(stack="dev").reach()
        (_, warned) = capsys.readouterr().err.splitlines()
        return warned

    runs(None)
    assert "Warning: namespace ado-system does not say which stack" in warning()
    for status, said in ((404, "has no ConfigMap ado-config"), (403, "you may not get configmaps")):
        refused = client.ApiException(status=status)
        _answers(monkeypatch, mock.Mock(side_effect=refused))
        assert said in warning()


def test_what_rotate_prints_tells_the_stack(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "rotate", lambda *_: 1.0)
    monkeypatch.setattr(Namespace, "deployments", lambda _: [])
    monkeypatch.setattr(commands, "alone", lambda *_: nullcontext())
    monkeypatch.setattr(target, "require", lambda *_: None)
    monkeypatch.setattr(Target, "_recognise", lambda *_: None)
    done = _run("postgres", "rotate", "--stack", "dev", "--context", "far away")
    programs = {
        "kubectl": """printf '%s\\n' "$@" >asked; printf bkB3 # n@w""",
        "pulumi": """printf '%s\\n' "$@" >told; cat >value""",
    }
    for name, script in programs.items():
        program = directory / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    path = f"{directory}{os.pathsep}{os.environ['PATH']}"
    line = done.stdout.splitlines()[-1]
    subprocess.run(["/bin/sh", "-c", line], env={"PATH": path}, cwd=directory, check=True)
    asked, told, value = ((directory / name).read_text() for name in ("asked", "told", "value"))
    where = ["--context", "far away", "-n", "ado-system"]
    secret = ["get", "secret", "postgresql", "-o", "jsonpath={.data.password}"]
    assert asked.splitlines() == [*where, *secret]
    assert " ".join(told.split()) == "config set --stack dev --secret ado:databasePassword"
    assert value == "n@w"


def test_an_api_server_that_hangs_is_told_instead_of_waited_for(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(target, "ANSWER", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        kubeconfig = directory / "kubeconfig"
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        kubeconfig.write_text(kubeconfig.read_text().replace("http://127.0.0.1:1", address))
        monkeypatch.setattr("sys.argv", ["ado-ops", "postgres", "status", "--stack", "dev"])
        began = time.monotonic()
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == 1
    assert time.monotonic() - began < 5
    assert "The API server does not answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "lacking"),
    [
        ("postgres promote 1", "delete pods, create pods/exec"),
        ("postgres promote 1 --dry-run", "delete pods, create pods/exec"),
        ("postgres status", "create pods/exec"),
        ("redis status", "create pods/exec, get statefulsets"),
    ],
)
def test_rights_that_are_missing_are_named_before_anything_is_touched(
    typed: str, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"delete pods", "create pods/exec", "get statefulsets"}
    asked: list[str] = []

    def review(_: object, body: client.V1SelfSubjectAccessReview) -> SimpleNamespace:
        of = body.spec.resource_attributes
        assert of is not None
        assert of.namespace == "ado-system"
        asked.append(f"{of.verb} {'/'.join(filter(None, (of.resource, of.subresource)))}")
        return SimpleNamespace(status=SimpleNamespace(allowed=asked[-1] not in refused))

    api = "kubernetes.client.AuthorizationV1Api.create_self_subject_access_review"
    monkeypatch.setattr(api, review)
    monkeypatch.setattr(Target, "_recognise", lambda *_: None)
    done = _run(*typed.split(), "--stack", "dev")
    said = str(done.exception)
    assert f"You may not {lacking} in namespace ado-system." in said
    assert "Nothing was touched" in said
    assert "ado-ops role --namespace ado-system" in said


def test_the_printed_role_has_every_right_that_is_asked_for() -> None:
    printed = yaml.safe_load(_run("role", "--namespace", "shop").stdout)
    assert (printed["kind"], printed["metadata"]["namespace"]) == ("Role", "shop")
    given = {
        (rule["apiGroups"][0], rule["resources"][0]): set(rule["verbs"])
        for rule in printed["rules"]
    }
    for right in rights.ALL:
        assert set(right.verbs) <= given[right.group, right.resource]
