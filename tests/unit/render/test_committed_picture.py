"""docs/platform.svg is the picture of the committed production stack."""

from __future__ import annotations

from tests.picture import PICTURE, drawn
from tests.unit.render.test_render import rendering


def test_the_committed_picture_is_that_of_the_stack_prod() -> None:
    assert PICTURE.read_text() == drawn(rendering("prod")), "it is stale; run: make docs"
