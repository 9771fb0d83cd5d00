"""Prometheus' own checker of queries, without installing Prometheus, which would start a server."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from sandbox.build import packages
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
    done = packages.apt("download", PACKAGE, cwd=directory)
    if done.returncode != 0:
        raise SandboxError(f"apt-get cannot download {PACKAGE}: {done.stderr.strip()[-400:]}")
    (package,) = directory.glob(f"{PACKAGE}_*.deb")
    unpack = ["dpkg-deb", "-x", str(package), str(directory)]
    unpacked = subprocess.run(unpack, capture_output=True, text=True, check=False)
    if unpacked.returncode != 0 or not (directory / "usr" / "bin" / "promtool").exists():
        raise SandboxError(f"{package.name} has no promtool: {unpacked.stderr.strip()[-400:]}")
    package.unlink()
