"""Fixtures of the unit tests: no network, no engine, seconds."""

from __future__ import annotations

import functools

import pytest

from tests.unit.recording import Recording, record_stack


@pytest.fixture(autouse=True)
def strict_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Output that is turned into text fails instead of warning."""
    monkeypatch.setenv("PULUMI_ERROR_OUTPUT_STRING", "1")


@functools.cache
def _recorded(stack: str) -> Recording:
    return record_stack(stack)


@pytest.fixture(params=["dev", "prod"])
def stack(request: pytest.FixtureRequest) -> Recording:
    """What each committed stack registers, with both API keys given."""
    return _recorded(request.param)


@pytest.fixture
def dev() -> Recording:
    """What the dev stack registers."""
    return _recorded("dev")


@pytest.fixture
def prod() -> Recording:
    """What the prod stack registers."""
    return _recorded("prod")
