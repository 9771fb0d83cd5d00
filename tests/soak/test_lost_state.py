"""docs/data-runbooks.md's "The state is lost", typed as it stands, on the dev stack.

The sandbox lends the cluster, the stack file and its passphrase, as whoever has lost the state
has them still; the commands are plain `pulumi` and `ado-ops`.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster.data import database_password, query, redis, redis_password
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.reader import Reader
from tests.cluster.runbooks import section
from tests.cluster.test_platform_changes import generated

SECTION = section("The state is lost")
INIT, ADOPT, PREVIEW, UP = [
    line.split("  #")[0].strip() for line in SECTION.split("```")[1].strip().splitlines()
]
OF_A_COPY = {
    words: " ".join(re.findall(rf"`(pulumi {words}[^`]*)`", SECTION)[0].split())
    for words in ("stack export", "stack import", "stack rm", "up --refresh")
}
KEY, TABLE = "written-before", "written_before"


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


def test_a_copy_of_the_state_brings_it_back(deployment: Deployment, operator: Reader) -> None:
    operator.types(f"pulumi stack select {deployment.stack}")
    operator.types(OF_A_COPY["stack export"])
    before = _lives(deployment)
    assert deployment.stack in operator.types("pulumi stack ls")
    with lost_state(deployment):
        assert deployment.stack not in operator.types("pulumi stack ls")
        operator.types(INIT)
        operator.types(OF_A_COPY["stack import"])
        # Once more, where the backend still knows the stack.
        operator.types(f"{OF_A_COPY['stack rm']} --yes")
        assert not deployment.state().resources
        operator.types(INIT)
        operator.types(OF_A_COPY["stack import"])
        operator.types(f"{OF_A_COPY['up --refresh']} --yes")
        assert _lives(deployment) == before
        assert set(deployment.up().changes) == {"same"}
        assert _lives(deployment) == before


def test_a_state_that_is_not_lost_is_left_alone(deployment: Deployment, operator: Reader) -> None:
    before = deployment.state().resources
    with pytest.raises(AssertionError, match="it is not lost"):
        operator.types(ADOPT)
    assert deployment.state().resources == before
