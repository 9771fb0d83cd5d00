"""A platform of the last release goes through `up` of this version: nothing replaced, nothing lost.

`tests/support/former/release.json` names that release; CONTRIBUTING.md says when it moves on.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ado_infra.review.preview import read_preview
from sandbox.cluster import object_storage
from sandbox.deploy import stack
from sandbox.deploy.outcome import Outcome
from tests.cluster.data import database_password, query, redis, redis_password
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.reader import Reader, environment
from tests.support import checkouts
from tests.support.identities import FORMER, settled
from tests.support.recording import ROOT

RELEASE: dict[str, str] = json.loads((FORMER / "release.json").read_text())
STACK_FILE = "Pulumi.dev.yaml"
ENDPOINT = "https://s3.us-east-1.amazonaws.com"
UNASKED = "--yes --skip-preview"
PASSING = {"Pod", "ReplicaSet", "Job"}
"""A Job that does something else is another one, and its pods with it."""
UNRELEASED = (ROOT / "CHANGELOG.md").read_text().partition("\n## Unreleased\n")[2]
NAMED = set(re.findall(r"`([A-Z]\w+/[\w.-]+)`", UNRELEASED.partition("\n## ")[0]))
"""`Kind/name` of whatever the changelog speaks of since that release: this alone may go."""

pytestmark = pytest.mark.skipif(
    not checkouts.is_there(RELEASE["commit"]),
    reason=f"version {RELEASE['version']} is not in this clone: git fetch --unshallow, or "
    f"git fetch origin {RELEASE['commit']}",
)


@pytest.fixture
def reader(undeployed: Deployment, tmp_path: Path) -> Iterator[Reader]:
    """Somebody on whose cluster the last release runs, deployed by its own code and settings."""
    checkout = checkouts.taken_out(RELEASE["commit"], tmp_path / "former")
    file = checkout / STACK_FILE
    file.write_text(file.read_text().replace(ENDPOINT, object_storage.ENDPOINT))
    reader = Reader(checkout, environment(undeployed.sandbox, tmp_path))
    reader.types("export PULUMI_CONFIG_PASSPHRASE=a-passphrase")
    reader.types(f"pulumi login 'file://{tmp_path}?metadata=skip'")
    reader.types("pulumi stack init dev")
    keys = object_storage.credentials(undeployed.sandbox)
    reader.types("pulumi config set --secret anthropicApiKey", "any")
    reader.types("pulumi config set --secret objectStorageAccessKey", keys.access_key)
    reader.types("pulumi config set --secret objectStorageSecretKey", keys.secret_key)
    told = json.loads(reader.types("pulumi preview --json"))
    states = [step["newState"] for step in told["steps"]]
    assert states[-1]["sourcePosition"].startswith("project:///ado_infra/")  # its own code ran
    planned = {each["urn"]: each["inputs"] for each in states if "kind" in each.get("inputs", {})}
    stack.provide(undeployed.sandbox, Outcome(objects=planned), Console(quiet=True))
    try:
        reader.types(f"pulumi up {UNASKED}")
        undeployed.wait_until_ready()
        yield reader
    finally:
        undeployed.remove(NAMESPACE)


def uids(deployment: Deployment) -> dict[str, str]:
    """`Kind/name` of all that is kept → its uid, claims included."""
    claims = json.loads(deployment.kubectl("get", "pvc", "-n", NAMESPACE, "-o", "json"))["items"]
    assert claims
    manifests = [*deployment.objects().values(), *claims]
    return {
        f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["uid"]
        for each in manifests
        if each["kind"] not in PASSING
    }


def secrets(deployment: Deployment) -> dict[str, Any]:
    """Name of each Secret → its data."""
    found = deployment.objects().items()
    return {name: manifest.get("data") for (kind, name), manifest in found if kind == "Secret"}


def write(deployment: Deployment) -> None:
    """A thousand rows, and a hundred keys over all masters."""
    rows = "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number"
    assert "SELECT 1000" in query(deployment, database_password(deployment), rows)
    for number in range(100):
        assert redis(deployment, redis_password(deployment), f"set key-{number} {number}") == "OK"


def assert_written(deployment: Deployment) -> None:
    """All of it is there."""
    counted = query(
        deployment, database_password(deployment), "SELECT count(*), sum(number) FROM kept"
    )
    assert re.search(r"\b1000 \| 500500\b", counted), counted
    for number in range(100):
        assert redis(deployment, redis_password(deployment), f"get key-{number}") == str(number)


def test_the_last_release_becomes_this_version_without_a_replacement(
    undeployed: Deployment, reader: Reader, tmp_path: Path
) -> None:
    write(undeployed)
    before, secret = uids(undeployed), secrets(undeployed)

    newer = checkouts.copied(tmp_path / "newer")
    shutil.copy(reader.checkout / STACK_FILE, newer)  # which is the user's, and stays
    reader.checkout = newer
    file = newer / "preview.json"
    reader.types(f"pulumi preview --json --stack dev > {file}")
    planned = read_preview(file)
    assert [step.title for step in planned.steps if step.word == "replaced"] == []
    gone = {step.title for step in planned.steps if step.word == "deleted"}
    assert {title for title in gone if not title.startswith("Job/")} <= NAMED
    assert {settled(title) for title in gone - NAMED} <= {
        settled(step.title) for step in planned.steps if step.word == "new"
    }

    reader.types(f"pulumi up --stack dev {UNASKED}")
    undeployed.wait_until_ready()
    after = uids(undeployed)
    assert {title: after.get(title) for title in before if title not in NAMED} == {
        title: uid for title, uid in before.items() if title not in NAMED
    }
    assert {name: secrets(undeployed).get(name) for name in secret} == secret
    assert_written(undeployed)
    reader.types(f"pulumi up --stack dev {UNASKED} --expect-no-changes")
