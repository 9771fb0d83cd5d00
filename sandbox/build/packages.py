"""The programs that come from the distribution: installed when that removes nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.progress import Report

CNI_PLUGINS = Path("/usr/lib/cni")

PROGRAMS: Mapping[str, str] = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    f"{CNI_PLUGINS}/ptp": "containernetworking-plugins",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "debootstrap": "debootstrap",
}
"""What the sandbox runs → the Debian package that has it."""

_ADMINISTRATORS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_APT = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}


def ensure(report: Report) -> None:
    """Install the packages of the programs that are missing; all can be run by name afterwards.

    Raises SandboxError when that would remove packages (they are named and nothing is changed),
    when it fails, and on a system without apt (the missing programs are named).
    """
    _complete_path()
    absent = [program for program in PROGRAMS if not _installed(program)]
    if not absent:
        return
    packages = sorted({PROGRAMS[program] for program in absent})
    if not shutil.which("apt-get"):
        names = ", ".join(Path(program).name for program in absent)
        raise SandboxError(
            f"These programs are missing: {names}. They cannot be installed without apt-get; "
            f"Debian has them in the packages {', '.join(packages)}."
        )
    install = ["install", "--no-install-recommends", "--yes", *packages]
    report("simulating the installation of " + ", ".join(packages))
    simulated = apt("--simulate", *install, report=report)
    removed = removals(simulated.stdout)
    if removed:
        raise SandboxError(
            f"Installing {', '.join(packages)} would remove {', '.join(removed)}. Nothing was "
            "changed. Install the programs in a way that fits this machine, or use another one: "
            + ", ".join(Path(program).name for program in absent)
        )
    report("installing " + ", ".join(packages))
    done = _apt(*install) if simulated.returncode == 0 else simulated
    if done.returncode != 0:
        raise SandboxError(
            f"apt-get cannot install {', '.join(packages)}: {done.stderr.strip()[-600:]}"
        )


def removals(simulation: str) -> list[str]:
    """The packages that `apt-get --simulate install` says it would remove."""
    return re.findall(r"^(?:Remv|Purg) (\S+)", simulation, flags=re.MULTILINE)


def _installed(program: str) -> bool:
    return shutil.which(program) is not None


def _complete_path() -> None:
    """Add the administrator's directories, which even root's PATH may lack."""
    path = os.environ.get("PATH", os.defpath).split(":")
    missing = [directory for directory in _ADMINISTRATORS if directory not in path]
    os.environ["PATH"] = ":".join([*path, *missing])


def apt(
    *arguments: str, cwd: Path | None = None, report: Report = lambda _: None
) -> subprocess.CompletedProcess[str]:
    """Run apt-get; again with new package lists when it fails: they may be missing or too old."""
    done = _apt(*arguments, cwd=cwd)
    if done.returncode != 0:
        report("reading package lists")
        _apt("update")
        done = _apt(*arguments, cwd=cwd)
    return done


def _apt(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["apt-get", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | _APT,
        stdin=subprocess.DEVNULL,
        check=False,
    )
