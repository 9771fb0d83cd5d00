"""What the README shows can be run as it stands there."""

from __future__ import annotations

import re

import pytest

from tests.unit.recording import ROOT, SECRETS, configure, record, stack_config

SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


def test_there_are_programs_in_it() -> None:
    assert len(SNIPPETS) == 2


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["whole", "part"])
def test_a_program_of_the_readme_makes_a_database(snippet: str) -> None:
    configure(stack_config("dev"), SECRETS)
    recording = record(lambda: exec(compile(snippet, "README.md", "exec"), {}))  # noqa: S102
    assert recording.get("StatefulSet", "postgresql")
