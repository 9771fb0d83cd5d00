"""What is refused before anything is started, and what a run that was killed leaves to do."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from sandbox.cluster import cluster, health
from sandbox.deploy import settings
from sandbox.deploy.outcome import Outcome
from sandbox.deploy.stack import Stack
from sandbox.errors import SandboxError
from sandbox.host import machine
from sandbox.paths import CHECKOUT, Sandbox
from tests.unit.sandbox.health import running

NAMESPACE = {"type": "kubernetes:core/v1:Namespace", "outputs": {"metadata": {"name": "n"}}}


def keep_state(sandbox: Sandbox, stack: str, *, interrupted: bool = False) -> Path:
    """As the engine keeps it after an `up`."""
    file = sandbox.pulumi / "state" / ".pulumi" / "stacks" / "ado" / f"{stack}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    pending = [{"type": "creating"}] if interrupted else []
    latest = {"resources": [NAMESPACE], "pending_operations": pending}
    file.write_text(json.dumps({"checkpoint": {"latest": latest}}))
    return file


class Engine:
    """One that clears what was pending, or fails at it; what it was asked is noted."""

    def __init__(self, state: Path, error: str = "") -> None:
        self.state, self.error = state, error
        self.stand_in_secrets, self.given_object_storage, self.versions = [], False, ""
        self.asked: list[str] = []

    def mend(self) -> Outcome:
        self.asked.append("mend")
        if self.error:
            return Outcome(errors=[self.error])
        document = json.loads(self.state.read_text())
        del document["checkpoint"]["latest"]["pending_operations"]
        self.state.write_text(json.dumps(document))
        return Outcome(succeeded=True)

    def preview(self, *_: object) -> Outcome:
        self.asked.append("preview")
        return Outcome(succeeded=True)

    def destroy(self, *_: object) -> Outcome:
        self.asked.append("destroy")
        return Outcome(succeeded=True)


@pytest.fixture(autouse=True)
def _cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that answers, and must not be started."""

    def started(*_: object) -> None:
        pytest.fail("the cluster was started")

    monkeypatch.setattr(machine, "require_root", lambda: None)
    monkeypatch.setattr(health, "require_api", lambda *_: running())
    monkeypatch.setattr(cluster, "up", started)
    monkeypatch.setattr(cluster, "withdraw", lambda _: None)


def stack(sandbox: Sandbox, name: str = "dev", project: Path = CHECKOUT) -> Stack:
    return Stack(name, sandbox, project, Console(file=io.StringIO()))


def checkout(directory: Path, config: str) -> Path:
    """The checkout's project with a stack `dev` of this config."""
    directory.mkdir()
    (directory / "Pulumi.yaml").write_bytes((CHECKOUT / "Pulumi.yaml").read_bytes())
    (directory / "Pulumi.dev.yaml").write_text(config)
    return directory


def test_a_stack_beside_another_is_refused_before_anything_is_started(sandbox: Sandbox) -> None:
    keep_state(sandbox, "dev")
    with pytest.raises(SandboxError, match="Stack dev is deployed here already"):
        stack(sandbox, "prod").up()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for this checkout, whose dev stack has a wrong setting, as every secret too."""
    dev = (CHECKOUT / "Pulumi.dev.yaml").read_text()
    wrong = "  ado:protectData: maybe\n  ado:postgress: {}\n  ado:databasePassword: {secure: x}\n"
    given = "\n".join(line for line in dev.splitlines() if "ado:protectData" not in line)
    made = checkout(tmp_path / "own", f"{given}\n{wrong}")
    monkeypatch.setattr(settings, "CHECKOUT", made)
    return made


@pytest.mark.parametrize("command", [Stack.up, lambda it: it.preview(diff=False)])
def test_wrong_settings_are_refused_in_the_programs_words_before_anything_is_started(
    sandbox: Sandbox, own: Path, command: Callable[[Stack], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stack, "_engine", lambda _: pytest.fail("the engine was prepared"))
    with pytest.raises(SandboxError) as refused:
        command(stack(sandbox, project=own))
    first, *problems = str(refused.value).splitlines()
    assert first == "The settings of this stack have 2 problems:"
    assert problems[0].startswith("  ado:postgress is unknown; did you mean postgres?")
    assert '  ado:protectData = "maybe": ' in str(refused.value)
    assert "Stack dev: nothing was changed." in problems
    assert problems[-1].startswith("Here, instead of `pulumi config`, edit Pulumi.dev.yaml")


def test_what_another_checkouts_settings_mean_its_program_knows(
    sandbox: Sandbox, own: Path, tmp_path: Path
) -> None:
    called = stack(sandbox, project=own)._called
    assert settings.refusal(called)
    wrong = (own / "Pulumi.dev.yaml").read_text()
    other = stack(sandbox, project=checkout(tmp_path / "other", wrong))._called
    assert settings.refusal(other) == ""


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_stacks_of_this_checkout_are_refused_by_nobody(sandbox: Sandbox, name: str) -> None:
    assert settings.refusal(stack(sandbox, name)._called) == ""


COMMANDS: dict[str, Callable[[Stack], object]] = {
    "status": lambda it: it.status(as_json=True),
    "picture": lambda it: it.picture(Path("never.svg")),
    "destroy": lambda it: it.destroy(),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_of_a_stack_that_is_nowhere_no_command_is_advised(
    sandbox: Sandbox, command: Callable[[Stack], object]
) -> None:
    with pytest.raises(
        SandboxError, match=r"There is no stack 'nope' here; there are dev, pr, prod\."
    ):
        command(stack(sandbox, "nope"))


def test_a_deployed_stack_whose_file_is_gone_can_be_destroyed_as_far_as_the_engine_goes(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(keep_state(sandbox, "gone"))
    monkeypatch.setattr(Stack, "_engine", lambda _: engine)
    assert stack(sandbox, "gone").destroy()
    assert engine.asked == ["destroy"]


def test_after_a_destroy_that_was_killed_the_state_is_mended_before_the_next(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(keep_state(sandbox, "dev", interrupted=True))
    monkeypatch.setattr(Stack, "_engine", lambda _: engine)
    assert stack(sandbox).destroy()
    assert engine.asked == ["mend", "destroy"]


def test_a_plan_after_a_run_that_was_killed_is_made_of_a_mended_state(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(keep_state(sandbox, "dev", interrupted=True))
    monkeypatch.setattr(Stack, "_engine", lambda _: engine)
    stack(sandbox).preview(diff=False)
    stack(sandbox).preview(diff=False)
    assert engine.asked == ["mend", "preview", "preview"]


def test_what_cannot_be_mended_is_not_destroyed(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(keep_state(sandbox, "dev", interrupted=True), error="unreachable")
    monkeypatch.setattr(Stack, "_engine", lambda _: engine)
    with pytest.raises(SandboxError, match=r"unreachable\nThe cluster cannot be looked at"):
        stack(sandbox).destroy()
    assert engine.asked == ["mend"]
