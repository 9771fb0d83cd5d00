"""Prometheus' own checker of queries, without installing Prometheus, which would start a server."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.files import made_once
from sandbox.paths import cache_dir

PACKAGE = "prometheus"


def promtool() -> Path:
    """The program: from PATH, from the cache, or unpacked from Debian's package into the cache.

    Raises SandboxError when it can be had nowhere.
    """
    if on_path := shutil.which("promtool"):
        return Path(on_path)
    unpacked = made_once(cache_dir() / "tools" / f"debian-{PACKAGE}", _unpack)
    return unpacked / "usr" / "bin" / "promtool"


def _unpack(directory: Path) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise SandboxError(
            "promtool is not on PATH and cannot be unpacked without apt-get and dpkg-deb; "
            f"Debian has it in the package {PACKAGE}."
        )
    _download(directory)
    (package,) = directory.glob(f"{PACKAGE}_*.deb")
    unpacked = _run("dpkg-deb", "-x", package.name, ".", cwd=directory)
    if unpacked.returncode != 0 or not (directory / "usr" / "bin" / "promtool").exists():
        raise SandboxError(f"{package.name} has no promtool: {_last_words(unpacked)}")
    package.unlink()


def _download(directory: Path) -> None:
    done = _run("apt-get", "download", PACKAGE, cwd=directory)
    if done.returncode != 0:  # the package lists are missing, or too old
        _run("apt-get", "update", cwd=directory)
        done = _run("apt-get", "download", PACKAGE, cwd=directory)
    if done.returncode != 0:
        raise SandboxError(f"apt-get cannot download {PACKAGE}: {_last_words(done)}")


def _run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        check=False,
    )


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.strip()[-400:]
