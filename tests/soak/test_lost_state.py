"""docs/data-runbooks.md's "The state is lost", typed as it stands, on the dev stack.

The sandbox lends the cluster, the stack file and its passphrase, as whoever has lost the state
has them still; the commands are plain `pulumi` and `ado-ops`.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

from tests.cluster.data import database_password, query, redis, redis_password
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.reader import Reader, environment
from tests.cluster.test_platform_changes import generated
from tests.unit.recording import ROOT

RUNBOOKS = (ROOT / "docs" / "data-runbooks.md").read_text()
SECTION = RUNBOOKS.partition("### The state is lost\n")[2].partition("\n### ")[0]
INIT, ADOPT, PREVIEW, UP = [
    line.split("  #")[0].strip() for line in SECTION.split("```")[1].strip().splitlines()
]
KEY, TABLE = "written-before", "written_before"


@pytest.fixture
def operator(deployment: Deployment, tmp_path: Path) -> Iterator[Reader]:
    """In a checkout with the stack file that was deployed, at a backend that is the lost one's."""
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


@contextmanager
def lost_state(deployment: Deployment) -> Generator[None]:
    """The backend is empty; if the block fails, what it had is put back for those who follow."""
    backend = deployment.engine().backend
    aside = backend.with_name("state-that-is-lost")
    backend.rename(aside)
    backend.mkdir(mode=0o700)
    try:
        yield
    except BaseException:
        shutil.rmtree(backend)
        aside.rename(backend)
        raise
    shutil.rmtree(aside)


def _lives(deployment: Deployment) -> dict[str, Any]:
    """What must be the same: whatever was replaced, rolled or written would show in it."""
    objects = deployment.objects()
    claims = json.loads(deployment.kubectl("get", "pvc", "-n", NAMESPACE, "-o", "json"))["items"]
    uids = {
        # A worker comes and goes with the queue; who rolls has another ReplicaSet.
        f"{kind} {name}": manifest["metadata"]["uid"]
        for (kind, name), manifest in objects.items()
        if kind != "Pod"
    }
    return {
        "uids": uids,
        "claims": {each["metadata"]["name"]: each["metadata"]["uid"] for each in claims},
        "pods": {store: deployment.pods(store) for store in ("postgresql", "redis")},
        "generations": {
            name: manifest["metadata"]["generation"]
            for (kind, name), manifest in objects.items()
            if kind == "StatefulSet"
        },
        "selectors": {
            name: manifest["spec"]["selector"]
            for (kind, name), manifest in objects.items()
            if kind == "Service"
        },
        "generated": generated(deployment) | {"key": objects["Secret", "ado-digest-key"]["data"]},
    }


def test_a_lost_state_is_made_anew_and_nothing_that_lives_is_touched(
    deployment: Deployment, operator: Reader
) -> None:
    database, cache = database_password(deployment), redis_password(deployment)
    query(deployment, database, f"CREATE TABLE IF NOT EXISTS {TABLE} AS SELECT 4711 AS kept")
    assert redis(deployment, cache, f"set {KEY} 4711") == "OK"
    before = _lives(deployment)
    encoded = [value for data in before["generated"].values() for value in data.values()]
    secrets = [*encoded, *(base64.b64decode(value).decode() for value in encoded)]

    with lost_state(deployment):
        assert not deployment.state().resources
        with deployment.watched_arguments() as arguments:
            operator.types(INIT)
            told = operator.types(ADOPT)
        assert not [secret for secret in secrets if secret in told]
        seen = b"\n".join(arguments)
        assert not [secret for secret in secrets if secret.encode() in seen]
        assert re.search(r"state of \d+ resources again", told)
        assert _lives(deployment) == before

        operator.types(f"{PREVIEW} --expect-no-changes")
        operator.types(f"{UP} --yes --expect-no-changes")
        assert _lives(deployment) == before
        # It is the sandbox's own again, which looks at the cluster first.
        seen_anew = deployment.preview()
        assert not seen_anew.changed, seen_anew.text
        assert set(deployment.up().changes) == {"same"}
        assert _lives(deployment) == before

    assert "4711" in query(deployment, database, f"TABLE {TABLE}")
    assert redis(deployment, cache, f"get {KEY}") == "4711"

    # As the same field manager as before: what it wrote then is its own to change.
    changed = deployment.up({"ado:edge": {"host": "adopted.example"}})
    assert set(changed.changes) == {"same", "update"}
    assert set(deployment.up().changes) == {"same", "update"}
    query(deployment, database, f"DROP TABLE {TABLE}")
    redis(deployment, cache, f"del {KEY}")


def test_a_state_that_is_not_lost_is_left_alone(deployment: Deployment, operator: Reader) -> None:
    before = deployment.state().resources
    with pytest.raises(AssertionError, match="it is not lost"):
        operator.types(ADOPT)
    assert deployment.state().resources == before
