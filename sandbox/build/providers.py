"""Where the engine's plugins are, and where each came from.

The official one is taken wherever there is one: on PATH; in the user's own `~/.pulumi`, of exactly
the SDK's version; downloaded from its publisher; the Kubernetes provider built from its Go module.
Only for `random`, whose module cannot be had, a stand-in answers (`sandbox/plugins/random.py`).
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import select
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import sandbox
from sandbox import files
from sandbox.build import downloads, kubernetes_provider, tools
from sandbox.build.gobuild import GoModule
from sandbox.paths import cache_dir
from sandbox.progress import Report, say_unused

PATIENCE = 60
"""Seconds that the engine has to download a plugin."""


@dataclass(frozen=True)
class Plugin:
    """A resource plugin that the engine is led to."""

    name: str
    version: str
    """Without a leading v; empty for one on PATH, which does not say."""
    origin: str
    """Where it came from, for the user."""
    directory: Path
    """Holds the program `pulumi-resource-<name>`."""


def sdk_version(name: str) -> str:
    """The version of the installed SDK, which asks the engine for a plugin of the same."""
    return importlib.metadata.version(f"pulumi-{name}")


def locate(pulumi: Path, stand_ins: Path, report: Report) -> list[Plugin]:
    """A plugin for every SDK that the program uses, downloading or building what is missing.

    `stand_ins`: a directory for launchers of those that the sandbox has to play.

    Raises SandboxError when the Kubernetes provider can be had in no way.
    """
    tools.ensure(download(report), report)
    kubernetes = _found("kubernetes") or _built()
    random = _found("random")
    if random is None and kubernetes.origin == tools.DOWNLOADED and downloads.enabled():
        random = _fetched_by_engine("random", pulumi, report)
    return [kubernetes, random or _stand_in("random", stand_ins)]


def download(report: Report) -> list[GoModule]:
    """Download the Kubernetes provider where there is none; what to build where that fails."""
    program = _program("kubernetes")
    built, downloaded = tools.PROVIDER.cached(program), _downloaded("kubernetes") / program
    if _found("kubernetes") or built.exists():
        return []
    with files.locked(downloaded.parent.with_name(f"{downloaded.parent.name}.lock")):
        if downloaded.exists() or downloads.fetch(
            program, sdk_version("kubernetes"), downloaded, report
        ):
            return []
    return [tools.PROVIDER]


def _fetched_by_engine(name: str, pulumi: Path, report: Report) -> Plugin | None:
    report(f"downloading {_program(name)}")
    install = [str(pulumi), "plugin", "install", "resource", name, sdk_version(name)]
    home = os.environ | {"PULUMI_HOME": str(_downloads())}
    try:
        done = subprocess.run(
            install, env=home, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        why = done.stderr.strip()
    except subprocess.TimeoutExpired:
        why = f"it was not here within {PATIENCE} s"
    if not (found := _found(name)):
        say_unused(f"The publisher's {_program(name)}", why)
    return found


def _found(name: str) -> Plugin | None:
    if (on_path := shutil.which(_program(name))) and _starts(on_path):
        return Plugin(name, "", tools.ON_PATH, Path(on_path).parent)
    downloaded = _downloaded(name)
    users_own = Path.home() / ".pulumi" / "plugins" / downloaded.name
    for origin, directory in {
        "found in ~/.pulumi": users_own,
        tools.DOWNLOADED: downloaded,
    }.items():
        # The engine's mark beside a directory that it has not filled to the end.
        partial = directory.with_name(f"{directory.name}.partial").exists()
        if (directory / _program(name)).is_file() and not partial:
            return Plugin(name, sdk_version(name), origin, directory)
    return None


@functools.cache
def _starts(program: str) -> bool:
    """Whether a plugin does first what the engine waits for: print the port that it listens on.

    None has to know `--version`, and the official one does not.
    """
    try:
        with subprocess.Popen(
            [program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as started:
            output = cast("IO[bytes]", started.stdout)
            answered, _, _ = select.select([output], [], [], tools.PATIENCE)
            printed = os.read(output.fileno(), 64) if answered else b""
            started.kill()
    except OSError as failed:
        say_unused(program, failed.strerror)
        return False
    if not answered:
        say_unused(program, f"it did not answer within {tools.PATIENCE:g} s")
    elif not printed.strip().isdigit():
        say_unused(program, "it does not start as a plugin of Pulumi's does")
    return printed.strip().isdigit()


def _built() -> Plugin:
    program = tools.PROVIDER.cached(_program("kubernetes"))
    release, origin = kubernetes_provider.RELEASE, tools.origin(program)
    return Plugin("kubernetes", release, origin, program.parent)


def _stand_in(name: str, directory: Path) -> Plugin:
    program = directory / _program(name)
    root = Path(sandbox.__file__).parent.parent
    # -P: the working directory is the Pulumi program's, whose modules must not be picked up.
    command = shlex.join([sys.executable, "-P", "-m", f"sandbox.plugins.{name}"])
    launcher = f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(root))} exec {command} "$@"\n'
    files.write(program, launcher, mode=0o700)
    return Plugin(name, sdk_version(name), "a stand-in of the sandbox's", directory)


def _program(name: str) -> str:
    return f"pulumi-resource-{name}"


def _downloads() -> Path:
    """A home of the engine's that nothing but downloaded plugins is in."""
    return cache_dir() / "pulumi"


def _downloaded(name: str) -> Path:
    return _downloads() / "plugins" / f"resource-{name}-v{sdk_version(name)}"
