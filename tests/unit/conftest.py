"""Fixtures of the unit tests: no network, no engine, seconds."""

from __future__ import annotations

import asyncio
import functools
import gc
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from unittest import mock

import pytest
from pulumi.runtime.settings import ROOT

from tests.support.recording import Recording, record_stack


def pytest_collection_finish() -> None:
    """The SDK's many modules live until the end: the collector need not look at them each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True)
def strict_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """An Output that is turned into text fails instead of warning."""
    monkeypatch.setenv("PULUMI_ERROR_OUTPUT_STRING", "1")


@pytest.fixture(scope="session", autouse=True)
def commands_made_once() -> Iterator[None]:
    """An app's commands are made from its functions once, and not for every line typed."""
    if find_spec("typer") is None:  # the library is tested without its operator's commands, too
        yield
        return
    made = functools.cache(import_module("typer.main").get_command)
    with mock.patch("typer.testing._get_command", made):
        yield


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """No unit test asks a publisher for a program."""
    monkeypatch.setenv("SANDBOX_DOWNLOADS", "no")


_LOOP = asyncio.new_event_loop()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Pulumi's mocks want a current loop; `asyncio.run` in another test leaves none behind.

    And a stack of their own: one that a test has only configured belongs to a loop that never ran,
    and whatever is rendered next in the same process would wait for it.
    A hook, for fixtures of a module are made before any fixture of a test.
    """
    asyncio.set_event_loop(_LOOP)
    ROOT.set(None)


@functools.cache
def _recorded(stack: str) -> Recording:
    return record_stack(stack)


@pytest.fixture
def recorded() -> Callable[[str], Recording]:
    """What the committed stack of a name registers, with all secrets given that have to be."""
    return _recorded


@pytest.fixture(params=["dev", "prod"])
def stack(request: pytest.FixtureRequest) -> Recording:
    """What each committed stack registers."""
    return _recorded(request.param)


@pytest.fixture
def dev() -> Recording:
    """What the dev stack registers."""
    return _recorded("dev")


@pytest.fixture
def prod() -> Recording:
    """What the prod stack registers."""
    return _recorded("prod")
