"""`ado-ops`, as it is started."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

from tests.unit.recording import ROOT

(MODULE, FUNCTION) = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"][
    "ado-ops"
].split(":")


def started(*arguments: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    """What the console script does, in a process of its own."""
    program = f"import sys; {before}; sys.argv[0] = 'ado-ops'; "
    program += f"from {MODULE} import {FUNCTION}; {FUNCTION}()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_lists_its_commands_under_its_name() -> None:
    shown = started("--help")
    assert shown.returncode == 0, shown.stderr
    assert "Usage: ado-ops" in shown.stdout
    for room in ("postgres", "redis"):
        assert room in shown.stdout


@pytest.mark.parametrize("package", ["typer", "rich", "kubernetes"])
def test_without_its_extra_it_says_what_to_install(package: str) -> None:
    refused = started("--help", before=f"sys.modules['{package}'] = None")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith(f"ado-ops needs {package}, which is not installed: pip")
    assert "ado-infra[ops]" in refused.stderr
    assert "Traceback" not in refused.stderr
