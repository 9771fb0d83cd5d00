"""`ado-ops policies`: what breaks one is said with the remedy, what is waived with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ado_infra.ops import cli
from ado_infra.ops.errors import OpsError
from tests.unit.ops.test_command import started
from tests.unit.render.test_render import committed, project

WAIVED = {"digests": "no images of ours are pushed yet", "backup": "the bucket comes in May"}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The production stack as committed, with two policies waived."""
    monkeypatch.chdir(tmp_path)
    return project(
        tmp_path, stack="s", config={**committed("prod"), "ado:policies": {"waived": WAIVED}}
    )


def asked(
    capsys: pytest.CaptureFixture[str], *arguments: str, exit_code: int
) -> tuple[list[str], str]:
    """The lines that the command prints, and what it complains of."""
    with pytest.raises(SystemExit) as ended:
        cli.app(["policies", *arguments])
    assert (ended.value.code or 0) == exit_code
    said = capsys.readouterr()
    return said.out.splitlines(), said.err


def test_a_stack_that_keeps_them_all_is_one_line() -> None:
    kept = started("policies", "--stack", "dev")
    assert (kept.returncode, kept.stdout) == (0, "dev: every policy is kept; 0 waived.\n")
    assert kept.stderr == ""


@pytest.mark.usefixtures("stack")
def test_findings_have_remedies_waivers_reasons_and_the_exit_code_is_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (finding, digests, backup, last), _ = asked(capsys, "--stack", "s", exit_code=1)
    assert finding == (
        "- redis_replicas: StatefulSet/redis: has no replicas; "
        "pulumi config set --path 'ado:redis.replicasPerMaster' 1"
    )
    assert digests.startswith("- digests: waived for Deployment/ado-api-gateway, ")
    assert digests.endswith(f": {WAIVED['digests']}")
    assert backup == f"- backup: waived for StatefulSet/postgresql: {WAIVED['backup']}"
    assert last == "s: 1 policy is broken; 2 waived."


@pytest.mark.usefixtures("stack")
def test_programs_get_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    lines, _ = asked(capsys, "--stack", "s", "--json", exit_code=1)
    said: dict[str, Any] = json.loads("\n".join(lines))
    assert said["stack"] == "s"
    assert [(each["rule"], each["subject"]) for each in said["findings"]] == [
        ("redis_replicas", "StatefulSet/redis")
    ]
    assert [(each["rule"], each["why"]) for each in said["waivers"]] == list(WAIVED.items())


def test_a_waiver_of_nothing_is_a_finding(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project(stack, stack="dev", config={**committed("dev"), "ado:policies": {"waived": WAIVED}})
    lines, _ = asked(capsys, "--stack", "dev", exit_code=1)
    assert lines[0] == "- digests: is waived and not broken; remove the waiver"


def test_waivers_that_no_program_reads_are_checked_all_the_same(
    stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"ado:policies": {"waived": {"nothing": "canary"}}}
    project(stack, stack="own", config=config, program="import pulumi\n")
    with pytest.raises(OpsError, match="ado:policies of own is wrong: Input should be") as refused:
        cli.app(["policies", "--stack", "own"])
    assert "canary" not in str(refused.value)
    assert capsys.readouterr().out == ""


def test_a_stack_that_there_is_not_is_a_message() -> None:
    refused = started("policies", "--stack", "nowhere")
    assert refused.returncode == 1
    assert "There is no file of a stack 'nowhere' here" in refused.stderr
    assert "Traceback" not in refused.stderr
