"""What of a stack file the sandbox's engine takes over, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ado_infra.secrets import ConfigSecret
from sandbox import engine
from sandbox.errors import SandboxError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("config: [\n", "line 2"),
        ("a: 1\na: 2\n", "line 2"),
        ("- a\n", "must be mappings"),
        ("config: text\n", "must be mappings"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused_by_name(
    tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(content)
    with pytest.raises(SandboxError, match=message) as refused:
        engine._load(file)
    assert str(refused.value).startswith(str(file))


@pytest.mark.parametrize("content", ["", "# nothing\n", "config:\n"])
def test_an_empty_file_says_nothing(tmp_path: Path, content: str) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(content)
    assert not engine._load(file).get("config")


def test_every_secret_that_production_demands_is_put_in() -> None:
    assert set(engine.SANDBOX_SECRETS) == {str(secret) for secret in ConfigSecret}
