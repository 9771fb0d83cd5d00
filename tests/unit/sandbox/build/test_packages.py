"""Debian packages: installed only when that removes nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from sandbox.build import packages
from sandbox.errors import SandboxError

HARMLESS = "Inst runc (1.1.5 Debian:12 [amd64])\nConf runc (1.1.5 Debian:12 [amd64])\n"
HARMFUL = "Remv docker-ce [5:27.0]\nRemv containerd.io [1.7.1]\n" + HARMLESS


class Apt:
    """Answers by subcommand and remembers what was asked."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, str], without_lists: int = 0
    ) -> None:
        self._without_lists = without_lists
        monkeypatch.setenv("PATH", "/usr/bin")
        self.calls: list[tuple[str, ...]] = []
        self._answers = answers
        monkeypatch.setattr(packages, "_apt", self)
        monkeypatch.setattr(packages, "_installed", lambda program: program not in {"runc", "ip"})
        monkeypatch.setattr("shutil.which", lambda *_, **__: "/usr/bin/apt-get")

    def __call__(
        self, *arguments: str, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        assert cwd is None
        self.calls.append(arguments)
        code = 0 if ("update",) in self.calls else self._without_lists
        answer = self._answers.get(arguments[0], "")
        return subprocess.CompletedProcess(arguments, code, answer, "")


def test_missing_programs_are_installed_after_a_simulation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apt = Apt(monkeypatch, {"--simulate": HARMLESS})
    packages.ensure(lambda _: None)
    install = ("install", "--no-install-recommends", "--yes", "iproute2", "runc")
    assert apt.calls == [("--simulate", *install), install]


def test_package_lists_that_are_missing_are_read_first(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = Apt(monkeypatch, {"--simulate": HARMLESS}, without_lists=100)
    said: list[str] = []
    packages.ensure(said.append)
    assert [call[0] for call in apt.calls] == ["--simulate", "update", "--simulate", "install"]
    assert "reading package lists" in said


def test_nothing_is_installed_when_that_would_remove_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    apt = Apt(monkeypatch, {"--simulate": HARMFUL})
    with pytest.raises(SandboxError, match=r"would remove docker-ce, containerd\.io"):
        packages.ensure(lambda _: None)
    assert [call[0] for call in apt.calls] == ["--simulate"]


def test_without_apt_the_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Apt(monkeypatch, {})
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(SandboxError, match=r"missing: runc, ip.*packages iproute2, runc"):
        packages.ensure(lambda _: None)


def test_apt_is_not_asked_when_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = Apt(monkeypatch, {})
    monkeypatch.setattr(packages, "_installed", lambda _: True)
    packages.ensure(lambda _: None)
    assert apt.calls == []
