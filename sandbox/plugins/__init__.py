"""Offline plugins for the Pulumi engine, for machines that cannot download the official ones."""

from __future__ import annotations

import importlib.metadata
import shlex
import shutil
import sys
from pathlib import Path

import sandbox

# Plugin → its module here. The SDK of the same name asks the engine for its own version.
_MODULES = {
    "kubernetes": "sandbox.plugins.kubernetes",
    "random": "sandbox.plugins.random",
}


def install(pulumi_home: Path) -> None:
    """Places launchers of the offline plugins into a PULUMI_HOME, whatever is there already.

    An official plugin always wins: one on PATH is left to the engine, one in the user's own
    `~/.pulumi` is linked, one in `pulumi_home` stays.
    """
    for name, module in _MODULES.items():
        version = importlib.metadata.version(f"pulumi-{name}")
        program = f"pulumi-resource-{name}"
        folder = f"resource-{name}-v{version}"
        target = pulumi_home / "plugins" / folder / program
        users_own = Path.home() / ".pulumi" / "plugins" / folder
        if _is_official(target):
            continue
        if target.parent.is_symlink():  # to an official plugin that is no longer there
            target.parent.unlink()
        shutil.rmtree(target.parent, ignore_errors=True)
        if shutil.which(program):
            continue
        target.parent.parent.mkdir(parents=True, exist_ok=True)
        if _is_official(users_own / program):
            target.parent.symlink_to(users_own)
            continue
        target.parent.mkdir()
        target.write_text(_launcher(module))
        target.chmod(0o755)


def _is_official(program: Path) -> bool:
    """Official plugins are compiled; ours is a script."""
    return program.is_file() and not _is_script(program)


def _is_script(program: Path) -> bool:
    with program.open("rb") as file:
        return file.read(2) == b"#!"


def _launcher(module: str) -> str:
    root = Path(sandbox.__file__).parent.parent
    # -P: the working directory is the Pulumi program's, whose modules must not be picked up.
    command = shlex.join([sys.executable, "-P", "-m", module])
    return f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(root))} exec {command} "$@"\n'
