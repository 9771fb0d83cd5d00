"""The programs that others deploy with, built once and kept where the sandbox keeps its own."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import venv
from pathlib import Path
from typing import Final

from sandbox import files
from sandbox.build import providers
from sandbox.build.gobuild import GoModule
from sandbox.errors import SandboxError
from sandbox.paths import cache_dir

HELM: Final = GoModule("helm.sh/helm/v4", "v4.3.2", {"helm": "cmd/helm"})
KUSTOMIZE: Final = GoModule("sigs.k8s.io/kustomize/kustomize/v5", "v5.8.2", {"kustomize": ""})
CDK8S: Final = "2.70.115"


def cdk8s() -> Path:
    """A Python that has cdk8s, and nothing of this program.

    Raises SandboxError where it cannot be installed.
    """
    return files.made_once(cache_dir() / "tools" / f"cdk8s-{CDK8S}", _install) / "bin" / "python"


def _install(directory: Path) -> None:
    venv.create(directory, with_pip=True, symlinks=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"cdk8s=={CDK8S}"]
    done = subprocess.run(
        [directory / "bin" / "python", *install], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SandboxError(f"cdk8s {CDK8S} cannot be installed: {done.stderr.strip()[-600:]}")


def versions() -> dict[str, str]:
    """What our own program runs with."""
    return {
        "Python": platform.python_version(),
        "pulumi": importlib.metadata.version("pulumi"),
        "pulumi-kubernetes": providers.sdk_version("kubernetes"),
    }
