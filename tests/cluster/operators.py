"""People other than the administrator: a ServiceAccount of the platform's namespace for each."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.cluster.deployment import NAMESPACE, Deployment


@contextmanager
def operator(deployment: Deployment, directory: Path, name: str) -> Generator[Path]:
    """The kubeconfig of somebody who has no right yet."""
    deployment.kubectl("create", "serviceaccount", name, "-n", NAMESPACE)
    try:
        token = deployment.kubectl("create", "token", name, "-n", NAMESPACE).strip()
        config = yaml.safe_load(deployment.sandbox.kubeconfig.read_text())
        for user in config["users"]:
            user["user"] = {"token": token}
        file = directory / f"kubeconfig-of-{name}"
        file.write_text(yaml.safe_dump(config))
        yield file
    finally:
        deployment.kubectl("delete", "serviceaccount", name, "-n", NAMESPACE)


@contextmanager
def allowed(deployment: Deployment, name: str, role: str) -> Generator[None]:
    """They have the rights of a Role, which is a manifest, during the block."""
    made = yaml.safe_load(role)["metadata"]["name"]
    deployment.kubectl("apply", "-f", "-", given=role)
    bound = (f"--role={made}", f"--serviceaccount={NAMESPACE}:{name}", "-n", NAMESPACE)
    deployment.kubectl("create", "rolebinding", name, *bound)
    try:
        yield
    finally:
        deployment.kubectl("delete", f"role/{made}", f"rolebinding/{name}", "-n", NAMESPACE)
