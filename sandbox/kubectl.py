"""kubectl against a sandbox: with its kubeconfig and no other, and traces only in its state."""

from __future__ import annotations

import os
import subprocess

from sandbox import tools
from sandbox.errors import SandboxError
from sandbox.paths import Sandbox


def run(sandbox: Sandbox, *arguments: str, standard_input: str = "") -> str:
    """Run kubectl and return what it printed.

    Raises SandboxError with kubectl's own words when it fails.
    """
    kubectl = tools.ensure((tools.KUBERNETES,), lambda _: None)["kubectl"]
    environment = os.environ | {
        "KUBECONFIG": str(sandbox.kubeconfig),
        "KUBECACHEDIR": str(sandbox.state / "kubectl-cache"),
    }
    done = subprocess.run(
        [str(kubectl), *arguments],
        input=standard_input,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SandboxError(f"kubectl {' '.join(arguments[:2])} failed: {done.stderr.strip()}")
    return done.stdout
