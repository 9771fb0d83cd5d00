"""What the README shows can be run as it stands there."""

from __future__ import annotations

import re

import pytest

from tests.support.recording import ROOT, SECRETS, configure, record, stack_config

SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


def test_there_are_programs_in_it() -> None:
    assert len(SNIPPETS) == 3


@pytest.mark.parametrize(
    ("snippet", "made"),
    [
        (SNIPPETS[0], ("StatefulSet", "redis")),
        (SNIPPETS[1], ("StatefulSet", "postgresql")),
        (SNIPPETS[2], ("Deployment", "ado-worker-gpu")),
    ],
    ids=["whole", "database", "workers"],
)
def test_a_program_of_the_readme_makes_what_it_says(snippet: str, made: tuple[str, str]) -> None:
    configure(stack_config("dev"), SECRETS)
    recording = record(lambda: exec(compile(snippet, "README.md", "exec"), {}))  # noqa: S102
    assert recording.get(*made)
