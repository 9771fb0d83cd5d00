"""The workflows: pinned, without rights that they do not need, and thin around tested commands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.recording import ROOT

WORKFLOWS = {path.name: path for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
EACH = pytest.mark.parametrize("name", WORKFLOWS)
USES = re.compile(r"uses: (\S+?)@(\S+)(?: # (\S+))?$", re.MULTILINE)
PINNED = {
    "actions/cache": ("cdf6c1fa76f9f475f3d7449005a359c84ca0f306", "v5.0.3"),
    "actions/checkout": ("de0fac2e4500dabe0009e67214ff5f5447ce83dd", "v6.0.2"),
    "pulumi/actions": ("8e5e406f4007fca908480587cb9893c07090f58d", "v7.0.0"),
}
"""Looked up: docs/decisions/0022-actions-by-commit.md. Renovate changes both places."""


def read(name: str) -> dict[str, Any]:
    """A workflow; `on`, which YAML 1.1 takes for true, under its own name."""
    found: dict[Any, Any] = yaml.safe_load(WORKFLOWS[name].read_text())
    found["on"] = found.pop(True)
    return found


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in read(name)["jobs"].values() for step in job["steps"]]


def test_the_workflows_are_those_of_the_page() -> None:
    page = (ROOT / "docs" / "pull-requests.md").read_text()
    assert set(WORKFLOWS) == set(re.findall(r"`([a-z]+\.yml)`", page))


def test_every_action_is_pinned_by_the_commit_that_was_looked_up() -> None:
    found = {
        (action, commit, version)
        for path in WORKFLOWS.values()
        for action, commit, version in USES.findall(path.read_text())
    }
    assert found == {(action, *pin) for action, pin in PINNED.items()}


@EACH
def test_rights_are_given_to_jobs_alone_and_none_writes_to_the_repository(name: str) -> None:
    workflow = read(name)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"] in ({"contents": "read"}, {"pull-requests": "write"})


@EACH
def test_what_may_write_runs_nothing_of_a_pull_request(name: str) -> None:
    for job in read(name)["jobs"].values():
        if "write" in job["permissions"].values():
            assert not [step for step in job["steps"] if "uses" in step or "make" in step["run"]]
            assert "head.repo.full_name == github.repository" in job["if"]


@EACH
def test_a_fork_is_given_no_secret(name: str) -> None:
    workflow = read(name)
    assert "pull_request_target" not in workflow["on"]
    assert "workflow_run" not in workflow["on"]
    if "pull_request" not in workflow["on"]:
        return
    for job in workflow["jobs"].values():
        if "secrets." in str(job) or "environment" in job:
            assert "head.repo.full_name == github.repository" in job["if"]


@EACH
def test_of_what_has_secrets_nothing_but_a_report_is_handed_on(name: str) -> None:
    for job in read(name)["jobs"].values():
        if "secrets." not in str(job):
            continue
        handing = [each for each in job["steps"] if "GITHUB_OUTPUT" in each.get("run", "")]
        assert not [each for each in handing if "secrets." in str(each)]
        for each in handing:
            (line,) = [line for line in each["run"].splitlines() if "GITHUB_OUTPUT" in line]
            assert "(gzip -9c report.md | base64 -w0)" in line
        named = set(re.findall(r"steps\.(\w+)\.outputs", str(job.get("outputs", ""))))
        assert named == {each["id"] for each in handing}
        assert "artifact" not in str(job)


@EACH
def test_no_credential_stays_in_the_checkout_and_no_job_runs_for_ever(name: str) -> None:
    for job in read(name)["jobs"].values():
        assert job["timeout-minutes"] <= 180
    for step in steps(name):
        if "actions/checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@EACH
def test_no_text_of_others_becomes_part_of_a_script(name: str) -> None:
    assert not [step["run"] for step in steps(name) if "${{" in step.get("run", "")]


def test_the_tests_run_with_the_history_that_an_upgrade_begins_with() -> None:
    job = read("ci.yml")["jobs"]["test"]
    assert "make test" in job["steps"][-1]["run"]
    assert job["steps"][0]["with"]["fetch-depth"] == 0


def test_the_engine_is_the_one_that_the_program_is_tested_with() -> None:
    pinned = re.search(r"^pulumi==(.+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned
    found = {
        step["with"]["pulumi-version"]
        for name in WORKFLOWS
        for step in steps(name)
        if "pulumi/actions" in step.get("uses", "")
    }
    assert found == {pinned[1]}


@EACH
def test_every_target_that_is_made_exists(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    names = {"READY": ".venv/ready", "POLICIES": "policies/.venv/ready"}
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    targets |= {path for variable, path in names.items() if f"\n$({variable}):" in makefile}
    made = [
        target
        for step in steps(name)
        for line in re.findall(r"\bmake ([a-z./ -]+)$", step.get("run", ""), re.MULTILINE)
        for target in line.split()
    ]
    assert set(made) <= targets


def test_zizmor_finds_nothing() -> None:
    program = Path(sys.executable).with_name("zizmor")
    looked = subprocess.run(
        [program, "--offline", "--no-progress", "--strict-collection", ROOT / ".github"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert looked.returncode == 0, looked.stdout + looked.stderr
