"""Checkouts to work in, of this tree or of a former commit.

A program that the engine runs there, and `python -m ado_infra.ops`, take the checkout's own
library; all else is what runs the tests.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

from tests.support.recording import ROOT

_UNWANTED = (".*", "build", "__pycache__")


def copied(checkout: Path) -> Path:
    """This tree as it is, committed or not."""
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*_UNWANTED))
    return _with_packages(checkout)


def is_there(commit: str) -> bool:
    """Whether this clone has a commit; a shallow one lacks most, and a copy all."""
    return _git("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def version_of(commit: str) -> str:
    """The version that a commit says it is; it must be there."""
    told = _git("show", f"{commit}:pyproject.toml").stdout.decode()
    return str(tomllib.loads(told)["project"]["version"])


def taken_out(commit: str, checkout: Path) -> Path:
    """The tree of a commit that is there."""
    archive = _git("archive", "--format=tar", commit)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tree:
        tree.extractall(checkout, filter="data")
    return _with_packages(checkout)


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    trusted = ("-c", f"safe.directory={ROOT}")  # also by root, in a clone that is somebody else's
    return subprocess.run(["git", *trusted, *arguments], cwd=ROOT, check=False, capture_output=True)


def _with_packages(checkout: Path) -> Path:
    (checkout / ".venv").symlink_to(Path(sys.prefix))
    return checkout
