"""What `make preview` shows: a line for what would change, and no value of it."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation.events import EngineEvent
from rich.console import Console
from typer.testing import CliRunner

from sandbox import cli
from sandbox.cluster import health
from sandbox.deploy import deployed, stack
from sandbox.deploy.engine import OnEvent
from sandbox.deploy.outcome import Outcome, details
from sandbox.deploy.refusals import ROTATED, protected, refuse_beside
from sandbox.errors import SandboxError
from sandbox.paths import Called, Sandbox
from tests.unit.sandbox.health import running

SECRET: dict[str, Any] = {
    "kind": "Secret",
    "metadata": {"name": "keys"},
    "stringData": {"key": "canary"},
}


def step(operation: str, inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    kind = f"kubernetes:core/v1:{inputs.get('kind', 'Other')}"
    urn = f"urn:pulumi:dev::ado::{kind}::{operation}"
    return {"op": operation, "urn": urn, "type": kind, "new": {"inputs": inputs}, **more}


def planned(*steps: dict[str, Any], changes: dict[str, int]) -> list[EngineEvent]:
    parts = [
        {kind: {"metadata": step, "planning": True}}
        for step in steps
        for kind in ("resourcePreEvent", "resOutputsEvent")
    ]
    return [
        EngineEvent.from_json(p) for p in [*parts, {"summaryEvent": {"resourceChanges": changes}}]
    ]


class Planning:
    """An engine that plans these steps, or fails with this error."""

    def __init__(self, events: list[EngineEvent], error: str = "") -> None:
        self.events, self.error = events, error

    def preview(self, on_event: OnEvent | None = None) -> Outcome:
        outcome = Outcome(succeeded=not self.error, text="the engine's text")
        outcome.errors += [self.error] if self.error else []
        for event in self.events:
            outcome.see(event)
            if on_event:
                on_event(event)
        return outcome


def shown(
    monkeypatch: pytest.MonkeyPatch, engine: Planning, *options: str, missing: tuple[str, ...] = ()
) -> list[str]:
    printed = io.StringIO()
    monkeypatch.setattr(health, "require_api", lambda *_: running(*missing))
    monkeypatch.setattr(stack.Stack, "_engine", lambda _: engine)
    monkeypatch.setattr(deployed, "read", lambda *_: deployed.Deployed())
    console = Console(file=printed, soft_wrap=True)
    monkeypatch.setattr(cli, "_console", lambda **_: console)
    done = CliRunner().invoke(cli.app, ["preview", *options], catch_exceptions=False)
    assert done.exit_code == 0
    return (printed.getvalue() + done.stdout).splitlines()


def test_each_change_is_one_line_with_its_paths_and_no_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = "spec.template.spec.containers[0].image"
    paths = {"stringData.key": {"diffKind": "update"}, image: {"diffKind": "update"}}
    events = planned(
        step("read", {"kind": "CustomResourceDefinition"}),
        step("same", SECRET),
        step("create", SECRET),
        step("update", SECRET, detailedDiff=paths),
        step("create-replacement", SECRET, diffs=["spec"]),
        step("replace", SECRET, diffs=["spec"]),
        step("delete-replaced", SECRET),
        step("delete", {}, old={"inputs": SECRET}, new=None),
        changes={"create": 1, "update": 1, "replace": 1, "delete": 1, "same": 2},
    )
    assert shown(monkeypatch, Planning(events)) == [
        "  + create Secret keys",
        f"  ~ update Secret keys: {image}, stringData.key",
        "  ± replace Secret keys: spec",
        "  - delete Secret keys",
        "Planned: 1 create, 1 update, 1 replace, 1 delete, 2 same.",
    ]


def test_where_nothing_would_change_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    events = planned(step("same", SECRET), changes={"same": 1})
    said = ["Nothing would change: 1 resources are as said."]
    assert shown(monkeypatch, Planning(events)) == said


@pytest.mark.parametrize(
    ("error", "here"),
    [
        ("not found", ""),
        (
            "wrong\n    pulumi config rm ado:x",
            "\nHere, instead of `pulumi config`, edit Pulumi.prod.yaml.",
        ),
        (
            "1. kubectl patch\n2. pulumi refresh\n3. pulumi up",
            (
                "\nHere, instead of `pulumi refresh` and `pulumi up`, `make up STACK=prod`; "
                "instead of `kubectl`, `.venv/bin/python -m sandbox kubectl`."
            ),
        ),
        ('conflict with "kubectl-edit": .spec.replicas', ""),
        (
            'conflict with "pulumi-kubernetes-f1ac760d": .data.password',
            (
                "\npulumi-kubernetes-f1ac760d is a run of this stack that was killed, or another"
                " stack with the same names. A killed one\ngives way, once, to"
                " `PULUMI_K8S_ENABLE_PATCH_FORCE=true make up STACK=prod`."
            ),
        ),
        (
            'conflicts with "pulumi-kubernetes-f1ac760d": .a, with "ado-ops": .data.password',
            f"\n{ROTATED}",  # which force would make worse
        ),
    ],
)
def test_a_refusal_says_what_the_commands_that_it_advises_are_here(
    monkeypatch: pytest.MonkeyPatch, error: str, here: str
) -> None:
    with pytest.raises(SandboxError) as refused:
        shown(monkeypatch, Planning([], error), "--stack", "prod")
    assert str(refused.value) == f"{error}\nStack prod: nothing was changed.{here}"


@pytest.mark.parametrize(
    "error",
    [
        "pulumi config set --secret ado:x",
        "pulumi refresh",
        "kubectl patch",
        'conflict with "pulumi-kubernetes-f1ac760d": .data.password',
    ],
)
def test_what_a_refusal_advises_acts_on_the_sandbox_the_stack_and_the_checkout_that_were_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: str
) -> None:
    (tmp_path / "Pulumi.other.yaml").touch()
    options = ("--stack", "other", "--name", "second", "--project", str(tmp_path))
    with pytest.raises(SandboxError) as refused:
        shown(monkeypatch, Planning([], error), *options)
    advised = re.findall(r"`[^`]*(?:sandbox|make) ([^`]*)`", str(refused.value))
    where = {"--stack other", f"--project {tmp_path}", "--name second"}
    for command in advised:
        expected = {"--name second"} if command.startswith("kubectl") else where
        assert {*re.findall(r"--\S+ \S+", command)} == expected
    assert advised


def test_a_stack_beside_is_taken_down_where_it_is() -> None:
    with pytest.raises(SandboxError) as refused:
        refuse_beside({"dev"}, Called(Sandbox("second"), "prod"))
    sandbox = ".venv/bin/python -m sandbox"
    assert str(refused.value).endswith(
        f"First `{sandbox} destroy --stack dev --name second`, or "
        f"`{sandbox} down --name second`; then `{sandbox} up --stack prod --name second`."
    )


def test_how_protection_is_lifted_is_told_for_the_sandbox_that_was_named() -> None:
    assert "then `make up STACK=dev` and `make destroy STACK=dev`; or `make down`" in str(
        protected(Called(Sandbox(), "dev"))
    )
    assert "make " not in str(protected(Called(Sandbox("second"), "dev")))


def test_the_engines_whole_text_is_shown_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    events = planned(step("create", SECRET), changes={"create": 1})
    assert shown(monkeypatch, Planning(events), "--diff") == ["the engine's text"]


def test_what_is_missing_is_said_and_does_not_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Planning(planned(step("same", SECRET), changes={"same": 1}))
    assert shown(monkeypatch, engine, missing=("Node n1 is not there",)) == [
        "Sandbox unit: Node n1 is not there. `make up STACK=dev` repairs it.",
        "Nothing would change: 1 resources are as said.",
    ]


def test_in_every_detail_only_what_would_change_is_shown() -> None:
    """The engine prints what a refresh found and what was read, too."""
    printed = """\
Previewing update (dev):
~ pulumi:pulumi:Stack: (refresh)
    [urn=urn:pulumi:dev::ado::pulumi:pulumi:Stack::ado-dev]
        ~ kubernetes:policy/v1:PodDisruptionBudget: (refresh)
            --outputs:--
          ~ status: {
            }
    > kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition: (read)
        [id=servicemonitors.monitoring.coreos.com]
        ~ kubernetes:apps/v1:Deployment: (update)
            [id=ado-system/ado-dashboard]
          ~ image: "a:1" => "a:2"
Resources:
    ~ 1 to update
    67 unchanged"""
    assert details(printed).splitlines() == [
        "Previewing update (dev):",
        "        ~ kubernetes:apps/v1:Deployment: (update)",
        "            [id=ado-system/ado-dashboard]",
        '          ~ image: "a:1" => "a:2"',
        "Resources:",
        "    ~ 1 to update",
        "    67 unchanged",
    ]


def test_what_is_only_read_counts_as_no_change() -> None:
    outcome = Outcome()
    changes = {"same": 67, "read": 1, "read-replacement": 1}
    outcome.see(EngineEvent.from_json({"summaryEvent": {"resourceChanges": changes}}))
    assert (outcome.changes, outcome.changed) == ({"same": 67}, 0)
