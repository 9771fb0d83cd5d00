"""A limit is lifted for the first sandbox and put back after the last."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.host import limits


@pytest.fixture
def limit(tmp_path: Path) -> Path:
    """A limit as a distribution sets it."""
    file = tmp_path / "max_user_instances"
    file.write_text("128\n")
    return file


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """Where running sandboxes are."""
    directory = tmp_path / "runtime"
    directory.mkdir()
    return directory


def test_a_low_limit_is_lifted_and_put_back_after_the_last_sandbox(
    limit: Path, runtime: Path
) -> None:
    limits.lift(limit, runtime)
    assert limit.read_text() == "1024"
    limits.lift(limit, runtime)  # the second sandbox finds enough
    (runtime / "other").mkdir()
    limits.restore(limit, runtime)
    assert limit.read_text() == "1024"
    (runtime / "other").rmdir()
    limits.restore(limit, runtime)
    assert limit.read_text() == "128"
    assert list(runtime.iterdir()) == []


def test_a_limit_that_is_high_enough_is_left_alone(limit: Path, runtime: Path) -> None:
    limit.write_text("8192\n")
    limits.lift(limit, runtime)
    limits.restore(limit, runtime)
    assert limit.read_text() == "8192\n"
    assert list(runtime.iterdir()) == []
