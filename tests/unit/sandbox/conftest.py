"""A sandbox whose directories are the test's own and that has no control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import paths
from sandbox.host import cgroups
from sandbox.paths import Sandbox


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setattr(paths, "STATE_ROOT", tmp_path / "state")
    monkeypatch.setattr(paths, "RUNTIME_ROOT", tmp_path / "run")
    monkeypatch.setattr(cgroups, "hierarchies", list)
    made = Sandbox("unit")
    made.logs.mkdir(parents=True)
    made.runtime.mkdir(parents=True)
    return made
