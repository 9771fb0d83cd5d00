"""What `make up` waits for, and what `make status` adds to the operator's own."""

from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from rich.console import Console
from typer.testing import CliRunner

from ado_infra.ops.platform import reading, tiers
from ado_infra.ops.platform.objects import Objects
from sandbox import cli, files, paths
from sandbox.cluster import health
from sandbox.deploy import deployed, rollout, stack, status
from sandbox.errors import SandboxError
from sandbox.paths import Sandbox
from tests.unit.ops.test_platform_status import FAILED, deployment, sight, whole
from tests.unit.sandbox.health import running


def test_a_failed_job_ends_the_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Objects(deployments=[deployment("ado-worker", 1)], jobs=[FAILED])
    monkeypatch.setattr(reading, "_read", lambda *_: (seen, []))
    started = time.monotonic()
    with pytest.raises(SandboxError, match="ado-migrations: failed"):
        rollout.wait_until_ready(client.ApiClient(), "ado-system", deadline=60)
    assert time.monotonic() - started < 10


def test_the_wait_goes_on_until_everything_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[dict[str, Any]] = [{"readyReplicas": 0}, {}]
    polls = iter(states)
    monkeypatch.setattr(
        reading,
        "_read",
        lambda *_: (Objects(deployments=[deployment("ado-worker", 1, **next(polls))]), []),
    )
    (tier,) = rollout.wait_until_ready(client.ApiClient(), "ado-system", deadline=60)
    assert tier.settled


def test_who_can_tell_more_of_postgresql_is_said_under_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = whole()
    fenced = replace(platform, postgresql="postgresql-0 is fenced")
    monkeypatch.setattr(health, "require_api", lambda *_: running())
    monkeypatch.setattr(stack.Stack, "_deployed", lambda _: deployed.Deployed())

    def printed(seen: tiers.Platform, *options: str) -> str:
        monkeypatch.setattr(stack.Stack, "_look", lambda *_: (sight(seen), set[str]()))
        return CliRunner().invoke(cli.app, ["status", "--name", "unit", *options]).stdout

    command = ".venv/bin/ado-ops postgres status --stack dev"
    (line,) = (line for line in printed(fenced).splitlines() if command in line)
    assert line.startswith("PostgreSQL: postgresql-0 is fenced: KUBECONFIG=")
    assert str(Sandbox("unit").kubeconfig) in line
    assert command not in printed(platform)
    assert json.loads(printed(fenced, "--json"))["postgresql"] == "postgresql-0 is fenced"


def test_a_stack_whose_last_up_did_not_end_is_not_fine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(paths, "STATE_ROOT", tmp_path)
    monkeypatch.setattr(health, "require_api", lambda *_: running())
    monkeypatch.setattr(stack.Stack, "_deployed", lambda _: deployed.Deployed())
    monkeypatch.setattr(stack.Stack, "_look", lambda *_: (sight(whole()), set[str]()))
    as_it_is = deployed.digest(Sandbox("unit"), "dev")
    files.write(deployed.last_up(Sandbox("unit"), "dev"), "what was asked for" + as_it_is)
    assert CliRunner().invoke(cli.app, ["status", "--name", "unit"]).exit_code == 0
    state = Sandbox("unit").pulumi / "state" / ".pulumi" / "stacks" / "ado" / "dev.json"
    files.write(state, json.dumps({"checkpoint": {}}))
    done = CliRunner().invoke(cli.app, ["status", "--name", "unit"])
    assert done.exit_code == 3
    again = ".venv/bin/python -m sandbox up --stack dev --name unit"
    assert f"The last `up` did not end; `{again}` goes on." in done.stdout
    told = json.loads(CliRunner().invoke(cli.app, ["status", "--name", "unit", "--json"]).stdout)
    assert (told["ready"], told["unfinished"]) == (False, True)


def test_links_and_what_was_deployed_and_is_gone_are_shown_and_told_to_programs() -> None:
    seen, links = sight(whole()), {"gateway": "http://127.0.0.1:1234"}
    with io.StringIO() as text:
        console = Console(file=text, soft_wrap=True, width=100)
        status.show(console, seen, links, ["ado-dashboard"], "`make up STACK=dev`")
        printed = text.getvalue()
    assert "gateway: http://127.0.0.1:1234" in printed
    assert "Missing: ado-dashboard; `make up STACK=dev` makes them." in printed
    told = json.loads(status.as_json(seen, ["ado-dashboard"], running()))
    assert told["ready"] is False
    assert told["missing"] == ["ado-dashboard"]
    assert json.loads(status.as_json(seen, [], running()))["ready"] is True
