"""A stack that says nothing new is rendered as it was: no pod of anybody's rolls for nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ado_infra.render.rendering import render
from tests.support.recording import ROOT

WAS = json.loads(Path(__file__).with_name("rendered.json").read_text())
"""Stack → file → how the SHA-256 of its content begins."""


@pytest.mark.parametrize("stack", WAS)
def test_a_stack_that_says_nothing_new_is_rendered_as_it_was(stack: str) -> None:
    objects = render(ROOT, stack).objects
    now = {o.path: hashlib.sha256(o.text().encode()).hexdigest()[:16] for o in objects}
    assert now == WAS[stack], (
        "what every stack has is another: say in CHANGELOG.md what rolls, and take these over"
    )
