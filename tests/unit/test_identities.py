"""A stack that runs goes through every change of the program without a replacement."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.identities import former, identities, settled
from tests.support.recording import Recording


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_former_resource_is_kept_or_aliased(
    stack: str, recorded: Callable[[str], Recording]
) -> None:
    recording = recorded(stack)
    known = {
        settled(urn): settled(each.urn)
        for each in recording.resources
        for urn in (each.urn, *each.aliases)
    }
    assert [urn for urn in former(stack) if urn not in known] == []
    now = identities(recording)
    assert {urn: now[known[urn]] for urn in former(stack)} == former(stack)
