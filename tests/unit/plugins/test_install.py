from __future__ import annotations

import importlib.metadata
import os
import subprocess
from pathlib import Path

import pytest

from sandbox.plugins import install

OFFICIAL = b"\x7fELF the compiled one"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "pulumi"


def program(home: Path, name: str) -> Path:
    version = importlib.metadata.version(f"pulumi-{name}")
    return home / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"


def place(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(OFFICIAL)
    path.chmod(0o755)


def test_launchers_are_placed_for_the_versions_the_program_asks_for(home: Path) -> None:
    install(home)
    install(home)
    for name in ("kubernetes", "random"):
        assert os.access(program(home, name), os.X_OK)


def test_a_launcher_starts_its_plugin_from_anywhere(home: Path, tmp_path: Path) -> None:
    install(home)
    with subprocess.Popen(
        [program(home, "random"), "127.0.0.1:1"], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as plugin:
        assert plugin.stdout
        assert int(plugin.stdout.readline()) > 0
        plugin.kill()


def test_an_official_plugin_that_is_there_stays(home: Path) -> None:
    place(program(home, "random"))
    install(home)
    assert program(home, "random").read_bytes() == OFFICIAL


def test_an_official_plugin_of_the_users_own_is_used(home: Path, tmp_path: Path) -> None:
    place(program(tmp_path / "user" / ".pulumi", "random"))
    install(home)
    assert program(home, "random").read_bytes() == OFFICIAL


def test_an_official_plugin_that_goes_away_is_replaced(home: Path, tmp_path: Path) -> None:
    own = program(tmp_path / "user" / ".pulumi", "random")
    place(own)
    install(home)
    own.unlink()
    install(home)
    assert b"sandbox.plugins.random" in program(home, "random").read_bytes()


def test_an_official_plugin_on_the_path_is_left_to_the_engine(home: Path, tmp_path: Path) -> None:
    install(home)
    place(tmp_path / "bin" / "pulumi-resource-random")
    install(home)
    assert not program(home, "random").exists()
    assert program(home, "kubernetes").exists()
