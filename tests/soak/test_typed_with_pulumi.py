"""Runbooks whose commands are plain `pulumi`'s, typed as docs/data-runbooks.md has them.

Each begins with the stack as committed, and leaves it to be made anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.cluster.data import database_password, query, redis, redis_password
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.pair import Pair
from tests.cluster.reader import Reader
from tests.cluster.redis_cluster import THREE, assert_whole, seconds_until
from tests.cluster.runbooks import commands, section

PASSWORD = "of-the-stack-itself"
SIZE, LARGER = "1Gi", "2Gi"
"""Of the volumes of the committed stack, and what they grow to."""


@pytest.fixture
def outgrown(deployment: Deployment) -> Iterator[Deployment]:
    """The stack; afterwards it is gone with its claims, as no volume shrinks."""
    yield deployment
    deployment.write()
    done = deployment.command("destroy")
    assert done.returncode == 0, done.stderr


def _capacities(deployment: Deployment) -> dict[str, str]:
    claims = json.loads(deployment.kubectl("get", "pvc", "-n", NAMESPACE, "-o", "json"))["items"]
    return {each["metadata"]["name"]: each["status"]["capacity"]["storage"] for each in claims}


def test_the_volumes_of_both_stores_grow_and_their_data_stays(
    outgrown: Deployment, operator: Reader
) -> None:
    pair, cache = Pair(outgrown), redis_password(outgrown)
    pair.keep()
    assert redis(outgrown, cache, "set kept here") == "OK"
    assert set(_capacities(outgrown).values()) == {SIZE}
    nodes, before = outgrown.pods("redis"), pair.ask(0, "SHOW max_wal_size")
    operator.values["40Gi"] = LARGER
    setting, *kubectl, refresh, up = commands(section("Growing a volume"))[:6]
    operator.types(f"pulumi stack select {outgrown.stack}")
    operator.types(setting)
    operator.types(setting.replace("postgres", "redis"))
    with pytest.raises(AssertionError, match=f"the volumes of redis have {SIZE}") as refused:
        operator.types(f"{up} --yes")
    steps = dict.fromkeys(re.findall(r"\d+\. (kubectl [^\n(]*)", str(refused.value)))
    printed = [step.strip() for step in steps]
    assert set(printed) > {line.replace("40Gi", LARGER) for line in kubectl}
    for line in printed:
        operator.types(line)

    def grown() -> None:
        assert set(_capacities(outgrown).values()) == {LARGER}

    seconds_until(grown)
    assert outgrown.pods("redis") == nodes  # they run on
    for line in (refresh, up):
        operator.types(f"{line} --yes")
    outgrown.wait_until_ready()
    pair.healthy()
    assert pair.kept()
    assert pair.ask(0, "SHOW max_wal_size") != before
    seconds_until(lambda: assert_whole(outgrown, THREE, {}))
    assert redis(outgrown, cache, "get kept") == "here"
    operator.types(f"{up} --yes --expect-no-changes")


@pytest.fixture
def rotated(deployment: Deployment) -> Iterator[Pair]:
    """The stack; afterwards its Secrets are made anew, with another password of its own."""
    pair = Pair(deployment)
    pair.keep()
    yield pair
    deployment.kubectl("delete", "secret", "-n", NAMESPACE, "postgresql", "ado-secrets")
    deployment.up()
    pair.password = database_password(deployment)
    pair.healthy()


def test_a_rotated_password_is_told_to_the_stack_and_one_of_the_stack_to_the_database(
    rotated: Pair, operator: Reader
) -> None:
    deployment, former = rotated.deployment, rotated.password
    typed = commands(section("Passwords"))
    rotate, up = ".venv/bin/ado-ops postgres rotate", "pulumi up --yes"
    assert rotate.removeprefix(".venv/bin/") in typed
    operator.types(f"pulumi stack select {deployment.stack}")
    told = operator.types(rotate).splitlines()[-1]
    assert told.endswith("--secret ado:databasePassword")
    operator.types(told)
    operator.types(up)
    rotated.password = database_password(deployment)
    assert rotated.password != former
    rotated.healthy()
    assert rotated.kept()
    assert "password authentication failed" in query(deployment, former)

    # Begun in the stack.
    setting = "pulumi config set --secret databasePassword"
    (piped,) = [line for line in typed if line.endswith("rotate --stdin")]
    assert setting in typed
    operator.types(setting, PASSWORD)
    operator.types(piped)
    assert database_password(deployment) == PASSWORD
    operator.types(up)
    rotated.password = PASSWORD
    rotated.healthy()
    assert rotated.kept()
