"""docs/own-cluster.md and changes.md, typed as they stand: plain `pulumi`, a fresh environment.

The sandbox lends the cluster and its object storage, and plays no other part.
"""

from __future__ import annotations

import os
import re
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from rich.console import Console

from sandbox.cluster import object_storage
from sandbox.deploy import stack
from sandbox.deploy.engine import Engine
from sandbox.paths import Sandbox
from tests.cluster import sandboxes
from tests.cluster.deployment import Deployment
from tests.cluster.reader import Reader, environment
from tests.cluster.test_platform_changes import WORKLOADS
from tests.support.recording import ROOT

OWN_CLUSTER = (ROOT / "docs" / "own-cluster.md").read_text()
CHANGES = (ROOT / "docs" / "changes.md").read_text()
LINES = [line.split("  #")[0].strip() for line in OWN_CLUSTER.split("```")[1].strip().splitlines()]


def _quoted(page: str, start: str, end: str) -> list[str]:
    """What stands in backticks between the two; of two keys that will do, the first."""
    text = page.partition(start)[2].partition(end)[0]
    return re.findall(r"`([^`]+)`", re.sub(r" or `\w+`", "", text))


NEEDED = _quoted(OWN_CLUSTER, "A stack of another name needs these", "`pulumi preview` warns")
REMOVAL = _quoted(CHANGES, "To take down a protected stack", "In the sandbox")
STACK = "staging"
UNASKED = "--yes --skip-preview"
"""What a line has beside what the page says: nobody is there to read the preview and to agree."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Sandbox]:
    """One of its own: the stack is as large as the committed production."""
    with sandboxes.running(sandboxes.LENT) as sandbox:
        yield sandbox


@pytest.fixture
def reader(cluster: Sandbox, tmp_path: Path) -> Iterator[Reader]:
    """Before the first line, on a cluster without a platform."""
    checkout = tmp_path / "ado"
    unwanted = (".*", "build", "__pycache__")
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*unwanted))
    values = {
        "pulumi login": f"pulumi login 'file://{tmp_path}?metadata=skip'",  # `~` is the user's
        "…": "a-passphrase",
        "stack init prod": f"stack init {STACK}",
        "https://s3.eu-central-1.amazonaws.com": object_storage.ENDPOINT,
        "8080:80": ":80",  # any port that is free
    }
    with mock.patch.dict(os.environ):
        yield Reader(checkout, environment(cluster, tmp_path), values)


def _is_needed(line: str) -> bool:
    key = line.split()[-2] if "--path" in line else line.rsplit(maxsplit=1)[-1]
    return key in NEEDED or key.endswith(".image.tag")


def test_a_stack_with_no_more_than_what_is_needed_comes_up_and_goes_without_a_trace(
    cluster: Sandbox, reader: Reader, tmp_path: Path
) -> None:
    platform = Deployment(cluster, tmp_path)
    setting = [line for line in LINES if line.startswith("pulumi config set")]
    first, (up, look) = LINES[: LINES.index(setting[0])], LINES[LINES.index(setting[-1]) + 1 :]
    secret = [line for line in setting if "--secret" in line]
    for line in first + [line for line in setting if _is_needed(line) and line not in secret]:
        reader.types(line)
    told = reader.types("pulumi preview")
    for line in filter(_is_needed, secret):
        # Before anything waits for pods that have no credentials.
        assert line.replace("--secret ", "--secret ado:") in told
    keys = object_storage.credentials(cluster)
    values = {"AccessKey": keys.access_key, "SecretKey": keys.secret_key, "ApiKey": "any"}
    for line in filter(_is_needed, secret):
        reader.types(line, next(values[kind] for kind in values if line.endswith(kind)))
    plan = Engine(cluster, reader.checkout, STACK, lambda _: None).preview()
    stack.provide(cluster, plan, Console(quiet=True))

    assert not re.search(r"No (credentials|key)", reader.types(f"{up} {UNASKED}"))
    tiers = platform.wait_until_ready()
    assert {tier.name for tier in tiers if tier.kind != "Job"} == set(WORKLOADS)
    with (
        reader.forwarded(look) as address,
        urllib.request.urlopen(f"http://{address}/") as page,
    ):
        assert page.status == 200
    reader.types(f"{up} {UNASKED} --expect-no-changes")

    take_down = [line for line in REMOVAL if line.startswith("pulumi ") and "profile" not in line]
    assert take_down == ["pulumi config set ado:protectData false", "pulumi up", "pulumi destroy"]
    for line in take_down:
        reader.types(line if line.startswith("pulumi config") else f"{line} {UNASKED}")
    assert platform.objects() == {}
    reader.types(f"pulumi stack rm --yes {STACK}")  # refused as long as anything is left
