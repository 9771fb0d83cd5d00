"""What a release says of itself, in each place that says it."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date

import pytest

from tests.support import checkouts
from tests.support.identities import FORMER
from tests.support.recording import ROOT

VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
HEADINGS = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
LAST: dict[str, str] = json.loads((FORMER / "release.json").read_text())


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_the_changelog_begins_with_what_is_unreleased_and_then_this_version() -> None:
    unreleased, *released = HEADINGS
    assert unreleased == "Unreleased"
    found = [re.fullmatch(r"(\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)", each) for each in released]
    versions = [each[1] for each in found if each]
    assert len(versions) == len(released)
    assert versions[0] == VERSION
    assert versions == sorted(versions, key=numbers, reverse=True)
    days = [date.fromisoformat(each[2]) for each in found if each]
    assert days == sorted(days, reverse=True)


def test_the_release_that_upgrades_are_tried_from_is_in_the_changelog_and_the_history() -> None:
    assert numbers(LAST["version"]) <= numbers(VERSION)
    assert any(each.startswith(f"{LAST['version']} ") for each in HEADINGS)
    assert re.fullmatch(r"[0-9a-f]{40}", LAST["commit"])
    if not checkouts.is_there(LAST["commit"]):
        pytest.skip("a clone without history: git fetch --unshallow")
    assert checkouts.version_of(LAST["commit"]) == LAST["version"]
