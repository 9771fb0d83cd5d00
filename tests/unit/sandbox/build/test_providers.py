"""Which plugins the engine is led to."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.build import downloads, kubernetes_provider, providers, tools
from sandbox.build.gobuild import GoModule
from sandbox.build.providers import Plugin, sdk_version
from sandbox.progress import Report

PROGRAM = "pulumi-resource-kubernetes"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine without plugins, downloads or a compiler; what is asked of them is noted."""
    asked = SimpleNamespace(home=tmp_path / "home", built=[], downloaded=[])

    def build(modules: list[GoModule], _: object) -> None:
        for module in modules:
            asked.built.append(module)
            _program(module.cached(PROGRAM).parent, PROGRAM)

    def fetch(program: str, version: str, *_: object) -> bool:
        asked.downloaded.append((program, version))
        return False

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(asked.home))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(tools, "ensure", build)
    monkeypatch.setattr(downloads, "fetch", fetch)
    return asked


def _program(directory: Path, name: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return directory


def located(tmp_path: Path, report: Report = lambda _: None) -> dict[str, Plugin]:
    found = providers.locate(Path("/no/pulumi"), tmp_path / "offline", report)
    return {plugin.name: plugin for plugin in found}


def test_without_any_the_provider_is_built_once_and_random_played(
    machine: SimpleNamespace, tmp_path: Path
) -> None:
    found = [located(tmp_path) for _ in range(2)]
    assert found[0] == found[1]
    assert machine.built == [tools.PROVIDER]
    assert machine.downloaded == [(PROGRAM, sdk_version("kubernetes"))]
    assert found[0]["kubernetes"].version == kubernetes_provider.RELEASE
    assert found[0]["kubernetes"].origin == "built from its Go module"
    assert "stand-in" in found[0]["random"].origin


def test_the_users_own_of_the_sdks_version_is_taken_even_where_it_is_linked(
    machine: SimpleNamespace, tmp_path: Path
) -> None:
    for name in ("kubernetes", "random"):
        folder = f"resource-{name}-v{sdk_version(name)}"
        real = _program(tmp_path / "elsewhere" / folder, f"pulumi-resource-{name}")
        own = machine.home / ".pulumi" / "plugins" / folder
        own.parent.mkdir(parents=True, exist_ok=True)
        own.symlink_to(real)
    found = located(tmp_path)
    assert {plugin.origin for plugin in found.values()} == {"found in ~/.pulumi"}
    assert found["kubernetes"].version == sdk_version("kubernetes")
    assert (machine.built, machine.downloaded) == ([], [])


def test_the_users_own_of_another_version_is_not_taken(
    machine: SimpleNamespace, tmp_path: Path
) -> None:
    _program(machine.home / ".pulumi" / "plugins" / "resource-kubernetes-v1.2.3", PROGRAM)
    assert located(tmp_path)["kubernetes"].origin == "built from its Go module"


def test_one_that_the_engine_has_not_unpacked_to_the_end_is_not_taken(
    machine: SimpleNamespace, tmp_path: Path
) -> None:
    folder = f"resource-random-v{sdk_version('random')}"
    for plugins in (machine.home / ".pulumi" / "plugins", providers._downloads() / "plugins"):
        _program(plugins / folder, "pulumi-resource-random")
        (plugins / f"{folder}.partial").touch()
    assert "stand-in" in located(tmp_path)["random"].origin


def test_one_on_path_goes_before(
    machine: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = _program(tmp_path / "bin", PROGRAM) / PROGRAM
    program.write_text("#!/bin/sh\necho 37009\nexec /bin/sleep 1d\n")  # as the engine wants it
    monkeypatch.setenv("PATH", str(program.parent))
    found = located(tmp_path)
    assert (found["kubernetes"].origin, found["kubernetes"].directory) == (
        "found on PATH",
        tmp_path / "bin",
    )
    assert machine.built == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("#!/bin/sh\nexit 1\n", "it does not start as a plugin of Pulumi's does"),
        ("#!/bin/sh\necho Usage:\n", "it does not start as a plugin of Pulumi's does"),
        ("#!/bin/sh\nexec /bin/sleep 1d\n", "it did not answer within 0.1 s"),
        ("\x7fELF of another machine", "Exec format error"),
    ],
    ids=["ends", "talks", "hangs", "foreign"],
)
@pytest.mark.usefixtures("machine")
def test_one_on_path_that_does_not_start_is_named_once_and_passed_over(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    why: str,
) -> None:
    program = _program(tmp_path / "bin", PROGRAM) / PROGRAM
    program.write_text(text)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setattr(tools, "PATIENCE", 0.1 if "sleep" in text else 10)
    assert located(tmp_path)["kubernetes"].origin == "built from its Go module"
    assert capsys.readouterr().err == f"{program} is not used: {why}\n"


def test_where_the_provider_can_be_downloaded_so_is_random(
    machine: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(program: str, _: str, target: Path, *__: object) -> bool:
        _program(target.parent, program)
        return True

    said: list[str] = []

    def install(command: list[str], *, env: dict[str, str], **_: Any) -> Any:
        assert command[1:] == ["plugin", "install", "resource", "random", sdk_version("random")]
        folder = f"resource-random-v{sdk_version('random')}"
        _program(Path(env["PULUMI_HOME"]) / "plugins" / folder, "pulumi-resource-random")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setenv("SANDBOX_DOWNLOADS", "yes")
    monkeypatch.setattr(downloads, "fetch", fetch)
    monkeypatch.setattr(subprocess, "run", install)
    found = located(tmp_path, said.append)
    assert said == ["downloading pulumi-resource-random"]
    assert {(p.origin, p.version) for p in found.values()} == {
        ("downloaded", sdk_version("kubernetes")),
        ("downloaded", sdk_version("random")),
    }
    assert machine.built == []


@pytest.mark.parametrize("late", [False, True])
def test_a_random_that_cannot_be_downloaded_is_played_and_why_stays_readable(
    machine: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    late: bool,  # noqa: FBT001
) -> None:
    def install(command: list[str], **_: Any) -> Any:
        partial = f"resource-random-v{sdk_version('random')}.partial"
        plugins = providers._downloads() / "plugins"
        _program(plugins / partial.removesuffix(".partial"), "pulumi-resource-random")
        (plugins / partial).touch()
        if late:
            raise subprocess.TimeoutExpired(command, providers.PATIENCE)
        return subprocess.CompletedProcess(command, 1, "", "error: no route to host\n")

    _program(providers._downloaded("kubernetes"), PROGRAM)
    monkeypatch.setenv("SANDBOX_DOWNLOADS", "yes")
    monkeypatch.setattr(subprocess, "run", install)
    assert "stand-in" in located(tmp_path)["random"].origin
    why = "it was not here within 60 s" if late else "error: no route to host"
    told = capsys.readouterr().err
    assert told == f"The publisher's pulumi-resource-random is not used: {why}\n"
    assert machine.built == []
