"""The package as others get it: built once, installed into an environment without the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.support.recording import ROOT

_PACKAGED = ("pyproject.toml", "README.md", "LICENSE", "requirements*.txt")


def environment_of_wheel(folder: Path) -> Path:
    """A virtual environment with the wheel's `ado_infra` and what this one has of everything else.

    Building asks PyPI, or pip's cache, for the build backend alone.
    """
    _run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv/bin/python"
    # pip takes what it sees for installed: what this environment has is shown afterwards.
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    _run(*pip, "install", "--quiet", "--no-deps", "--no-index", _built(folder))
    (site,) = (folder / "venv/lib").glob("python*/site-packages")
    (site / "everything-else.pth").write_text(sysconfig.get_path("purelib") + "\n")
    found = _run(python, "-P", "-c", "import ado_infra; print(ado_infra.__file__)")
    assert Path(found.strip()).is_relative_to(site), found
    return folder / "venv"


def _built(folder: Path) -> Path:
    """The wheel, built from a copy, for building leaves traces."""
    source = folder / "source"
    shutil.copytree(
        ROOT / "ado_infra", source / "ado_infra", ignore=shutil.ignore_patterns("__pycache__")
    )
    for pattern in _PACKAGED:
        for file in ROOT.glob(pattern):
            shutil.copy(file, source)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    _run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder / "wheels", source)
    (wheel,) = (folder / "wheels").glob("*.whl")
    return wheel


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
