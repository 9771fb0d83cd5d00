"""Which cluster a command of the operator's talks to, and that it says so."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from kubernetes import client
from kubernetes.config import kube_config
from typer.testing import CliRunner, Result

from ado_infra.ops import cli, rights, target
from ado_infra.ops.errors import OpsError
from ado_infra.ops.postgres import commands, rotation
from ado_infra.ops.target import Target


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a stack file, and a kubeconfig of two contexts."""
    contexts = [
        {"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("here", "far away")
    ]
    kubeconfig = {
        "current-context": "here",
        "contexts": contexts,
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n")
    # The client has read KUBECONFIG when it was imported.
    place = str(tmp_path / "kubeconfig")
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", place)
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
    (directory / "Pulumi.dev.yaml").write_text(f"config: {settings}\n")
    context, namespace = asked
    Target(stack="dev", context=context, given_namespace=namespace).reach()
    said = capsys.readouterr()
    assert said.err == f"Stack dev · context {where[0]} · namespace {where[1]}\n"
    assert said.out == ""


def test_a_context_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OpsError, match=r"No cluster to talk to: .*--context"):
        Target(stack="dev", context="elsewhere").reach()
    assert capsys.readouterr().err == ""


def test_what_rotate_prints_tells_the_stack(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "rotate", lambda *_: 1.0)
    monkeypatch.setattr(commands, "alone", lambda *_: nullcontext())
    monkeypatch.setattr(target, "require", lambda *_: None)
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
    assert told.split() == ["config", "set", "--stack", "dev", "--secret", "databasePassword"]
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
