"""A stack that runs goes through every change of the program without a replacement.

`ADO_WRITE_FORMER=1` writes down what is held to, when a version is released.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from tests.support.identities import FORMER, former, identities, settled
from tests.support.recording import Recording


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_former_resource_is_kept_or_aliased(
    stack: str, recorded: Callable[[str], Recording]
) -> None:
    recording = recorded(stack)
    if os.environ.get("ADO_WRITE_FORMER"):
        registered = json.dumps(identities(recording), indent=1, sort_keys=True)
        (FORMER / f"{stack}.json").write_text(f"{registered}\n")
    known = {
        settled(urn): settled(each.urn)
        for each in recording.resources
        for urn in (each.urn, *each.aliases)
    }
    assert [urn for urn in former(stack) if urn not in known] == []
    now = identities(recording)
    assert {urn: now[known[urn]] for urn in former(stack)} == former(stack)
