"""A pool that asks models by a gateway: it has a key to that, which is rotated, and no provider's.

Pool `default` beside it has the provider's key, as a pool without a gateway has: what is not found
in the one is found in the other, by the same search.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.model_gateway import PATH, URL, ModelGateway, model_gateway

PROVIDERS = "sk-ant-canary-of-the-provider"
FIRST, SECOND, OTHER = (f"sk-gateway-{which}" for which in ("first", "second", "of-another"))
SECRET, GATED, ALONE = "gateway-of-gated", "ado-worker-gated", "ado-worker"
CHANGES: dict[str, Any] = {
    "ado:workerPools": {
        "gated": {
            "image": {"tag": "0.1.0"},
            "scaling": {"minReplicas": 1, "maxReplicas": 2},
            "disruption": {"maxUnavailable": 1},
            "resources": {
                "requests": {"cpu": "50m", "memory": "128Mi"},
                "limits": {"cpu": "1", "memory": "1Gi"},
            },
            "modelGateway": {"url": URL, "keySecret": SECRET},
        }
    }
}
ASK = """
import os, sys, urllib.error, urllib.request
key = sys.stdin.read() or open(os.environ["MODEL_GATEWAY_KEY_FILE"]).read()
url = os.environ["ANTHROPIC_BASE_URL"] + "%s"
try:
    asked = urllib.request.Request(url, b"{}", {"x-api-key": key})
    print(urllib.request.urlopen(asked, timeout=10).status)
except urllib.error.HTTPError as refused:
    print(refused.code)
"""
REACHES = """
import socket
try:
    socket.create_connection(%r, 3).close()
    print(True)
except OSError:
    print(False)
"""
SECONDS = 60.0


@dataclass(frozen=True)
class Gated:
    """A platform with such a pool, and its gateway."""

    deployment: Deployment
    gateway: ModelGateway

    def asked(self, key: str = "") -> int:
        """How the gateway answers a worker with a key, or with what its file has."""
        return int(self.deployment.inside(ASK % PATH, GATED, given=key))

    def reached_by(self, workload: str) -> bool:
        """Whether a pod of a workload can connect to the gateway at all."""
        address, _, port = URL.rpartition("//")[2].partition(":")
        program = REACHES % ((address, int(port)),)
        return self.deployment.inside(program, workload).strip() == "True"


@pytest.fixture
def gated(deployment: Deployment) -> Iterator[Gated]:
    keep(deployment, FIRST)
    deployment.give("ado:anthropicApiKey", PROVIDERS)
    with model_gateway(deployment.sandbox, PROVIDERS) as gateway:
        gateway.accept(FIRST)
        deployment.up(CHANGES)
        yield Gated(deployment, gateway)
    deployment.reset()  # first: pods would wait for what is taken away
    deployment.kubectl("delete", "secret", "-n", NAMESPACE, SECRET)


def keep(deployment: Deployment, key: str) -> None:
    """Writes the Secret as somebody who keeps it."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": NAMESPACE},
        "stringData": {"key": key},
    }
    deployment.kubectl("apply", "-f", "-", given=json.dumps(manifest))


def processes(deployment: Deployment, workload: str) -> list[Path]:
    """Every process of a workload's pods, as their node sees it, but those that have ended."""
    uids = deployment.pods(workload)
    found: list[Path] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            groups = (process / "cgroup").read_text().replace("_", "-")
            command = (process / "cmdline").read_bytes()
        except OSError:  # ended in between
            continue
        if command and any(uid in groups for uid in uids):
            found.append(process)
    return found


def holders(deployment: Deployment, workload: str, text: str) -> set[str]:
    """What of a workload's pods has a text in it: `environment`, `memory` or `files`."""
    searched, sought = processes(deployment, workload), text.encode()
    assert searched, f"{workload} has no process"
    ways = {"environment": in_environment, "memory": in_memory, "files": in_files}
    return {name for name, way in ways.items() for each in searched if way(each, sought)}


def in_environment(process: Path, sought: bytes) -> bool:
    return sought in (process / "environ").read_bytes()


def in_memory(process: Path, sought: bytes) -> bool:
    regions = re.findall(r"(?m)^([0-9a-f]+)-([0-9a-f]+) r", (process / "maps").read_text())
    assert regions
    with (process / "mem").open("rb", buffering=0) as memory:
        for begin, end in ((int(begin, 16), int(end, 16)) for begin, end in regions):
            try:
                memory.seek(begin)
                if sought in memory.read(end - begin):
                    return True
            except (OSError, ValueError, OverflowError):  # the kernel's own pages cannot be read
                continue
    return False


def in_files(process: Path, sought: bytes) -> bool:
    """All that there is in its containers but what the kernel makes up."""
    for directory, names, files in os.walk(process / "root"):
        if Path(directory) == process / "root":
            names[:] = [name for name in names if name not in {"proc", "sys", "dev"}]
        for name in files:
            path = Path(directory, name)
            # A link may lead out of the container; what it leads to inside is found by itself.
            if path.is_file() and not path.is_symlink() and sought in path.read_bytes():
                return True
    return False


def test_a_pool_asks_with_its_own_key_follows_another_one_and_has_no_providers(
    gated: Gated,
) -> None:
    deployment, gateway = gated.deployment, gated.gateway
    deadline = time.monotonic() + SECONDS
    while gated.reached_by(ALONE):  # what is refused shows that policies are enforced
        assert time.monotonic() < deadline, f"{ALONE} still reaches the gateway of {GATED}"
    assert gated.reached_by(GATED)
    assert gated.asked() == 200
    assert gateway.answered == {FIRST: 1}
    assert gated.asked(OTHER) == 401
    assert gateway.refused == 1

    assert holders(deployment, ALONE, PROVIDERS) >= {"files"}
    assert holders(deployment, GATED, URL) >= {"environment", "memory"}
    assert holders(deployment, GATED, FIRST) >= {"files"}
    assert holders(deployment, GATED, PROVIDERS) == set()

    gateway.accept(SECOND)
    before = deployment.pods(GATED)
    rotated = deployment.ops("rotate-model-key", "gated", "--stdin", given=SECOND)
    assert rotated.returncode == 0, rotated.stdout + rotated.stderr
    assert SECOND not in rotated.stdout + rotated.stderr
    assert deployment.pods(GATED).isdisjoint(before)
    gateway.revoke(FIRST)
    assert gated.asked() == 200
    assert gateway.answered == {FIRST: 1, SECOND: 1}
    assert gated.asked(FIRST) == 401
    again = deployment.ops("rotate-model-key", "gated", "--dry-run")
    assert again.stdout == "There is nothing to do.\n", again.stderr
    rolled = deployment.pods(GATED)
    deployment.up(CHANGES)  # to the stack nothing has changed
    assert rolled <= deployment.pods(GATED)
