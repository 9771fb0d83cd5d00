"""The package as others get it: built, and installed into virtual environments of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from tests.support.recording import ROOT


@dataclass(frozen=True)
class Distribution:
    """What would be published."""

    wheel: Path
    sdist: Path


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """What a command prints; when it fails that is the failure's message."""
    done = subprocess.run(
        command,
        cwd=cwd,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}"
    return done.stdout


def build(folder: Path) -> Distribution:
    """An sdist of the checkout, and a wheel of that sdist, made with the installed setuptools."""
    source, made = folder / "source", folder / "dist"
    unwanted = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=unwanted)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", made, source)
    (wheel,), (sdist,) = made.glob("*.whl"), made.glob("*.tar.gz")
    return Distribution(wheel, sdist)


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @classmethod
    def create(cls, folder: Path) -> Environment:
        """An empty one; this interpreter's pip installs into it."""
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        return cls(folder)

    def install(self, *what: str | Path) -> None:
        """What pip is told to install."""
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
        quietly = ("--quiet", "--progress-bar", "off")
        run(*pip, "--python", self.python, "install", *quietly, *what)

    def borrow(self) -> None:
        """What is installed here can be imported there too, after what is installed there."""
        packages = sysconfig.get_path("purelib", vars={"base": str(self.folder)})
        (Path(packages) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
