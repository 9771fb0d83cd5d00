"""The cluster of the tests, for the long runs; and an operator who types what the runbooks say."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import yaml

from tests.cluster.conftest import cluster, deployment, pair, pair_deployment, undeployed
from tests.cluster.deployment import Deployment
from tests.cluster.reader import Reader, environment
from tests.support.recording import ROOT

__all__ = ["cluster", "deployment", "pair", "pair_deployment", "undeployed"]


@pytest.fixture
def operator(deployment: Deployment, tmp_path: Path) -> Iterator[Reader]:
    """In a checkout with the stack file that was deployed, and with the backend of its state.

    The sandbox lends the cluster, the stack file and its passphrase; the commands are plain
    `pulumi`, `kubectl` and `ado-ops`.
    """
    sandbox, engine, checkout = (
        deployment.sandbox,
        deployment.engine(),
        tmp_path / "operator" / "ado",
    )
    unwanted = (".*", "build", "__pycache__")
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*unwanted))
    shutil.copy(engine.project / "Pulumi.dev.yaml", checkout)
    project = yaml.safe_load((checkout / "Pulumi.yaml").read_text())
    project["runtime"]["options"] = {"virtualenv": sys.prefix}
    (checkout / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    values = {"prod": deployment.stack, ".venv/bin/ado-ops": f"{sys.executable} -m ado_infra.ops"}
    told = {
        "ADO_STACK": deployment.stack,
        "PULUMI_BACKEND_URL": f"file://{engine.backend}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(sandbox.pulumi / "passphrase"),
        "PULUMI_SELF_MANAGED_STATE_GZIP": "false",  # as the sandbox reads it afterwards
    }
    with mock.patch.dict(os.environ):
        yield Reader(checkout, environment(sandbox, checkout.parent) | told, values)
