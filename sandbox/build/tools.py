"""The programs a sandbox runs: found on PATH, found in the cache, downloaded, or built.

A program on PATH is used when it is of the same minor version as the pinned one; otherwise the
one kept in the cache is used; otherwise its publisher's is downloaded, where that can be had;
otherwise it is built from its Go module's source, which takes minutes the first time and is never
repeated for the same version.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from sandbox.build import gobuild, kubernetes_provider, policy_engine
from sandbox.build.gobuild import GoModule
from sandbox.files import locked
from sandbox.paths import cache_dir
from sandbox.progress import Report, say_unused

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
COREDNS = GoModule(  # the whole would link the libraries of several clouds
    "github.com/coredns/coredns",
    "v1.15.0",
    {"coredns": "coremain"},
    parts=tuple(f"plugin/{name}" for name in ("bind", "errors", "kubernetes", "ready", "template")),
    start="Run",
)
METRICS_SERVER = GoModule(
    "sigs.k8s.io/metrics-server", "v0.9.0", {"metrics-server": "cmd/metrics-server"}
)
POLICY_ENGINE = GoModule(
    policy_engine.MODULE,
    "v0.8.0",
    {"kube-network-policies": "cmd"},
    copied=policy_engine.copied,
    changes=policy_engine.changes(),
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
)
PROVIDER = GoModule(
    kubernetes_provider.MODULE,
    "v4.0.0-20260115033456-f47bc2d6f199",  # the commit of release 4.25.0
    {"pulumi-resource-kubernetes": "cmd/pulumi-resource-kubernetes"},
    ldflags=f"-X {kubernetes_provider.MODULE}/pkg/version.Version=v{kubernetes_provider.RELEASE}",
    copied=kubernetes_provider.copied,
    changes=kubernetes_provider.changes(),
)
OPERATOR_CRDS = GoModule("github.com/prometheus-operator/prometheus-operator", "v0.85.0", {})

CLUSTER = (KUBERNETES, ETCD, COREDNS, METRICS_SERVER, POLICY_ENGINE, RCLONE)
"""What a cluster runs."""
_WORKSPACES = (
    (KUBERNETES, ETCD, COREDNS, METRICS_SERVER, POLICY_ENGINE),
    (PULUMI, PROVIDER),
)
"""Modules that are built together; any other is built alone."""
_ASK_FOR_VERSION = {"kubectl": ("version", "--client"), "pulumi": ("version",)}
"""How a program is asked that does not know `--version`."""
PATIENCE: Final = 5.0
"""Seconds that a program on PATH has to say which one it is."""
ON_PATH, DOWNLOADED = "found on PATH", "downloaded"
"""Origins for the user; the latter is also the name of a mark beside a program in the cache."""


def ensure(modules: Sequence[GoModule], report: Report) -> dict[str, Path]:
    """Every program of the modules, as name → absolute path, building what is missing.

    Raises SandboxError when Go can be had nowhere or a build fails (the compiler's last lines
    are in the message).
    """
    found = _found(modules)
    absent = [m for m in modules if any(found[name] is None for name in m.programs)]
    if absent:
        _provide(absent, report)
        found = _found(modules)
    return {name: path for name, path in found.items() if path is not None}


def _found(modules: Sequence[GoModule]) -> dict[str, Path | None]:
    """Each program, or None; looked for side by side, since one on PATH may not answer."""
    asked = {name: module for module in modules for name in module.programs}
    with ThreadPoolExecutor() as pool:
        return dict(zip(asked, pool.map(find, asked.values(), asked), strict=True))


def _provide(modules: Sequence[GoModule], report: Report) -> None:
    together = [workspace for workspace in _WORKSPACES if any(m in modules for m in workspace)]
    alone = [(m,) for m in modules if not any(m in workspace for workspace in _WORKSPACES)]
    # Two at a time: linking and downloading leave processors to the other.
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda w: _build(w, modules, report), [*together, *alone]))


def _build(workspace: Sequence[GoModule], modules: Sequence[GoModule], report: Report) -> None:
    # One build of a workspace at a time on this machine, however many sandboxes start.
    lock = cache_dir() / "build" / f"{workspace[0].directory_name}.lock"
    with locked(lock, lambda holder: report(f"waiting for {holder}")):
        wanted = [module for module in workspace if module in modules]
        absent = [
            name
            for module in wanted
            for name, path in _found([module]).items()
            if path is None and not _download(module, name, report)
        ]
        if absent:
            gobuild.build(workspace, absent, report)


def _download(module: GoModule, program: str, report: Report) -> bool:
    if module is PROVIDER:  # its release has another version than its module: see `providers`
        return False
    from sandbox.build import downloads  # noqa: PLC0415 - who only looks a program up needs no client

    target = module.cached(program)
    done = downloads.fetch(program, module.version, target, report)
    if done:
        (target.parent / DOWNLOADED).touch()
    return done


def origin(program: Path) -> str:
    """Where a program that `ensure` found came from, for the user."""
    if cache_dir() not in program.parents:
        return ON_PATH
    downloaded = (program.parent / DOWNLOADED).exists()
    return DOWNLOADED if downloaded else "built from its Go module"


def find(module: GoModule, program: str) -> Path | None:
    """A program of the module as `ensure` returns it; None where that would have to make it."""
    on_path = shutil.which(program)
    if on_path and _fits(on_path, module.version):
        return Path(on_path)
    cached = module.cached(program)
    return cached if cached.exists() else None


@functools.cache
def _fits(program: str, pinned: str) -> bool:
    """Same major and minor version as the pinned one; one that does not answer is named."""
    try:
        printed = subprocess.run(
            [program, *_ASK_FOR_VERSION.get(Path(program).name, ("--version",))],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired:
        say_unused(program, f"it did not say its version within {PATIENCE:g} s")
        return False
    except OSError as failed:
        say_unused(program, failed.strerror)
        return False
    seen = re.search(r"(\d+)\.(\d+)\.\d+", printed)
    return seen is not None and pinned.startswith(f"v{seen[1]}.{seen[2]}.")
