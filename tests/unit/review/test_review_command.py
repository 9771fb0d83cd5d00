"""`ado-ops review` in a repository: the other side is taken out of git, and is gone afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ado_infra.ops.cli as command
from ado_infra.render.stack_file import stacks
from ado_infra.review import revision
from tests.support.recording import ROOT
from tests.unit.ops.test_command import command as console_script

PROGRAM = """
import json, pulumi
from pulumi_kubernetes.core.v1 import ConfigMap
config = pulumi.Config("ado")
ConfigMap("c", metadata={"name": "told"}, data={"said": config.get("edge") or ""})
"""
LIBRARY = """
import os, sys, time
from pathlib import Path
from types import SimpleNamespace
print("a program may print")
DATA = %r
def render(project, stack):
    %s
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "told"}, "data": DATA}
    each = SimpleNamespace(manifest=manifest, ignored=(), protect=False, secrets=())
    return SimpleNamespace(objects=[each])
"""
ERRORS = "class RenderError(Exception): pass\n"


@dataclass(frozen=True)
class Repository:
    """A repository with a project in a directory of it."""

    top: Path
    scratch: Path

    @property
    def project(self) -> Path:
        return self.top / "deploy"

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=n", "-c", "user.email=e@example.com")
        return subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.top,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def write(self, files: dict[str, str]) -> None:
        """Files of the project."""
        for name, text in files.items():
            (self.project / name).write_text(text)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "x")


def stack(**edge: str) -> str:
    return json.dumps({"config": {f"ado:{key}": value for key, value in edge.items()}})


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    made = Repository(top=tmp_path / "repository", scratch=tmp_path / "scratch")
    made.project.mkdir(parents=True)
    made.scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(made.scratch))
    monkeypatch.setattr("tempfile.tempdir", str(made.scratch))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.chdir(made.project)
    made.git("init", "--quiet", "--initial-branch=main")
    (made.project / "Pulumi.yaml").write_text("name: p\nruntime: python\n")
    (made.project / "__main__.py").write_text(PROGRAM)
    (made.project / "Pulumi.dev.yaml").write_text(stack(edge="one"))
    own(made, data={"said": "one"})
    made.commit()
    made.git("switch", "--quiet", "--create", "branch")
    own(made, data={"said": "of this side, and never asked"})
    yield made
    assert list(made.scratch.iterdir()) == []


def own(repository: Repository, *, data: dict[str, str], doing: str = "pass") -> None:
    """A library of the tree's own; it loads no SDK, so that these tests are fast."""
    package = repository.project / "ado_infra"
    (package / "render").mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "render" / "__init__.py").write_text("")
    (package / "render" / "errors.py").write_text(ERRORS)
    (package / "render" / "rendering.py").write_text(LIBRARY % (data, doing))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ado-ops", "review", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    return int(ended.value.code or 0)


Printed = pytest.CaptureFixture[str]


def test_nothing_is_one_line(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    assert run(monkeypatch, "--base", "main") == 0
    commit = repository.git("rev-parse", "main")[:7]
    said = f"Nothing changes in `dev`, compared with `main` ({commit}, where this branch left it)."
    assert capsys.readouterr().out.splitlines()[1:] == [said]


def test_what_is_not_committed_counts_and_the_base_is_rendered_by_its_own_code(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    repository.write({"Pulumi.dev.yaml": stack(edge="two")})
    before = repository.git("status", "--porcelain"), repository.git("worktree", "list")
    assert run(monkeypatch, "--base", "main") == 0
    out = capsys.readouterr().out
    assert "| `ConfigMap/told` | replaced | `data.said` changed |" in out
    assert "| `ado:edge` | `one` | `two` |" in out
    assert (repository.git("status", "--porcelain"), repository.git("worktree", "list")) == before


def test_what_the_other_branch_did_since_is_not_told(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    repository.commit()
    repository.git("switch", "--quiet", "main")
    own(repository, data={"said": "something else"})
    repository.commit()
    repository.git("switch", "--quiet", "branch")
    assert run(monkeypatch, "--base", "main") == 0
    assert "Nothing changes" in capsys.readouterr().out


def test_a_revision_without_a_common_commit_is_compared_itself(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    repository.commit()
    repository.git("switch", "--quiet", "--orphan", "other")
    (repository.project).mkdir(exist_ok=True)
    repository.git("checkout", "branch", "--", ".")
    own(repository, data={"said": "three"})
    repository.commit()
    repository.git("switch", "--quiet", "branch")
    monkeypatch.chdir(repository.project)
    assert run(monkeypatch, "--base", "other") == 0
    out = capsys.readouterr().out
    assert "which has no commit in common" in out
    assert "`ConfigMap/told`" in out


def test_stacks_that_come_and_go_are_told(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    repository.write({"Pulumi.new.yaml": stack()})
    (repository.project / "Pulumi.dev.yaml").unlink()
    assert run(monkeypatch, "--base", "main") == 0
    out = capsys.readouterr().out
    assert "### `dev`: removed" in out
    assert "`pulumi destroy` it before this is merged" in out
    assert "### `new`: 1 new" in out
    assert "The stack is new" in out


def test_it_is_written_to_a_file(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    file = repository.top / "review.md"
    assert run(monkeypatch, "--base", "main", "--out", str(file)) == 0
    assert capsys.readouterr().out == f"{file}: written.\n"
    assert file.read_text().startswith("<!-- ado-ops review -->\nNothing changes in `dev`")
    assert run(monkeypatch, "--base", "main", "--out", str(repository.top)) == 1
    assert capsys.readouterr().err == f"{repository.top} cannot be written: Is a directory\n"


def test_only_stacks_that_are_asked_for(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    repository.write({"Pulumi.new.yaml": stack()})
    assert run(monkeypatch, "--base", "main", "--stack", "dev") == 0
    assert "Nothing changes in `dev`," in capsys.readouterr().out
    assert run(monkeypatch, "--base", "main", "--stack", "typo") == 1
    assert capsys.readouterr().err == "There is no stack 'typo' on either side (dev, new).\n"


@pytest.mark.parametrize(
    "ref", ["nope", "--help", "main;id", "$(id)", "main\n", "x" * 5000, "\x1b[31m", "@{-9}", ""]
)
def test_a_revision_that_there_is_not_is_one_line(
    ref: str, repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    assert repository.project.is_dir()
    assert run(monkeypatch, f"--base={ref}") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("There is no revision ")
    assert printed.err.count("\n") == 1
    assert len(printed.err) < 200
    assert "\x1b" not in printed.err


def test_where_no_repository_is_is_one_line(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.chdir(repository.scratch)
    assert run(monkeypatch, "--base", "main") == 1
    assert "is in no git work tree.\n" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "/none")
    assert run(monkeypatch, "--base", "main") == 1
    assert "git is not installed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("doing", "said"),
    [
        ("raise SystemExit(3)", "its code cannot render: exit code 3"),
        ("os._exit(4)", "its code cannot render: exit code 4"),
        ("raise KeyError('canary-of-a-secret')", "the program ends with KeyError"),
        ("import nowhere", "the program ends with ModuleNotFoundError"),
        ("raise sys.modules['ado_infra.render.errors'].RenderError('no `|<b>')", "no &#96;"),
    ],
)
def test_a_base_that_does_not_load_is_told_and_the_report_goes_on(
    doing: str,
    said: str,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Printed,
) -> None:
    repository.git("switch", "--quiet", "main", "--discard-changes")
    own(repository, data={}, doing=doing)
    repository.commit()
    repository.git("switch", "--quiet", "--create", "later")
    repository.write({"Pulumi.dev.yaml": stack(edge="two")})
    assert run(monkeypatch, "--base", "main") == 0
    out = capsys.readouterr().out
    assert "### `dev`: **cannot be compared**" in out
    assert said in out
    assert "canary" not in out
    assert "| `ado:edge` | `one` | `two` |" in out


def test_a_base_without_a_renderer_is_told(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    repository.git("switch", "--quiet", "main", "--discard-changes")
    (repository.project / "ado_infra" / "render" / "rendering.py").unlink()
    repository.commit()
    repository.git("switch", "--quiet", "--create", "later")
    assert run(monkeypatch, "--base", "main") == 0
    said = "No module named 'ado_infra.render.rendering'"
    assert said in capsys.readouterr().out


def test_a_base_that_does_not_end_is_told(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    repository.git("switch", "--quiet", "main", "--discard-changes")
    own(repository, data={}, doing="time.sleep(60)")
    repository.commit()
    repository.git("switch", "--quiet", "--create", "later")
    monkeypatch.setattr(revision, "_DEADLINE", 0.2)
    assert run(monkeypatch, "--base", "main") == 0
    assert "does not end within 0.2 s" in capsys.readouterr().out


def test_a_branch_that_is_refused_is_told_and_fails_where_policies_must_hold(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    refusing = "import pulumi\nraise pulumi.RunError('grow it first')\n"
    repository.write({"__main__.py": refusing})
    assert run(monkeypatch, "--base", "main") == 0
    assert "**it is refused**:\n  - `grow it first`" in capsys.readouterr().out
    assert run(monkeypatch, "--base", "main", "--fail-on", "policy") == 3
    assert "grow it first" in capsys.readouterr().out


def test_a_tree_without_a_library_is_rendered_by_the_one_that_runs(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    repository.git("rm", "--quiet", "-rf", "deploy/ado_infra")
    repository.commit()
    repository.git("tag", "without")
    repository.write({"Pulumi.dev.yaml": stack(edge="two")})
    assert run(monkeypatch, "--base", "without") == 0
    assert "| `ConfigMap/told` | replaced | `data.said` changed |" in capsys.readouterr().out


def is_running(process: str) -> bool:
    try:
        state = Path("/proc", process, "stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "terminated"]
)
def test_what_is_stopped_leaves_nothing_behind(
    number: signal.Signals, code: int, repository: Repository, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    repository.git("switch", "--quiet", "main", "--discard-changes")
    doing = f"Path({str(begun)!r}).write_text(str(os.getpid())); time.sleep(60)"
    own(repository, data={}, doing=doing)
    repository.commit()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*console_script("sys.path.remove('')"), "review", "--base", "main"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not (begun.is_file() and begun.read_text()):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert list(repository.scratch.iterdir()) != []
        process.send_signal(number)
        deadline = time.monotonic() + 60
        out, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert out == ""
    assert "Traceback" not in error
    # It was killed; who takes note of that, and when, is the system's.
    while is_running(begun.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_file_that_is_no_stacks_is_none(tmp_path: Path) -> None:
    for name in ("Pulumi.yaml", "Pulumi.a.yaml", "Pulumi.<b>.yaml", "Pulumi..yaml", "x.yaml"):
        (tmp_path / name).touch()
    assert stacks(tmp_path) == ["a"]


def test_a_directory_without_a_stack_is_one_line(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.chdir(repository.top)
    assert run(monkeypatch, "--base", "main") == 1
    assert capsys.readouterr().err.startswith("There is no Pulumi.<stack>.yaml in ")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


PREVIEW: dict[str, Any] = {
    "steps": [{"op": "same", "urn": "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev"}]
}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ('"canary', "cannot be read as JSON"),
        ("[]", "is no preview"),
        ('{"steps": 3}', "is no preview"),
        ('{"steps": []}', "names no stack"),
        (json.dumps(PREVIEW).replace("dev::", "typo::"), "no stack 'typo' on either side"),
    ],
)
def test_what_is_no_preview_is_one_line(
    text: str,
    said: str,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Printed,
) -> None:
    file = repository.top / "preview.json"
    file.write_text(text)
    assert run(monkeypatch, "--base", "main", "--preview", str(file)) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "canary" not in error


def test_a_preview_finds_its_stack(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    step = {"op": "delete", "urn": "urn:pulumi:dev::p::kubernetes:core/v1:Service::web"}
    file = repository.top / "preview.json"
    file.write_text(json.dumps({"steps": [*PREVIEW["steps"], step]}))
    assert run(monkeypatch, "--base", "main", "--preview", str(file)) == 0
    assert "**goes** `Service/web` is deleted, by the engine's preview" in capsys.readouterr().out
