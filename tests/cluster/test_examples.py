"""Each folder of `examples/`, brought up from the wheel by what its page says to type.

All of them at the same time in one cluster: each is a project with a state of its own.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from rich.console import Console

from ado_infra.ops.platform.reading import PART_OF
from sandbox.cluster import kubectl, object_storage
from sandbox.deploy import rollout, stack
from sandbox.deploy.outcome import Outcome
from sandbox.paths import Sandbox
from tests.cluster import shop
from tests.cluster.reader import Reader, environment
from tests.cluster.test_platform_changes import WORKLOADS
from tests.cluster.wheel import environment_of_wheel
from tests.support.examples import FOLDER, NAMES, record_example

AT_ONCE: Final = 4
"""Engines that run at the same time; much of it is spent waiting."""
LONGEST_FIRST: Final = sorted(NAMES, key=lambda name: (name != "two-platforms", name))
PLATFORMS: Final = ("ado-blue", "ado-green", "ado-external")
"""The namespaces that examples make."""
UP: Final = "pulumi up"


@dataclass(frozen=True)
class Brought:
    """What was brought up, each by somebody of its own; or is just now."""

    sandbox: Sandbox
    readers: Mapping[str, Reader]
    under_way: Mapping[str, Future[str]]

    def outcome(self, example: str) -> str:
        """What `up` printed; raises when anything that was typed has failed."""
        return self.under_way[example].result()

    def output(self, example: str, name: str) -> str:
        """An output of its stack."""
        self.outcome(example)
        return self.readers[example].types(f"pulumi stack output --show-secrets {name}").strip()

    def kubectl(self, *arguments: str) -> str:
        """kubectl in the namespace of the application that exists."""
        return kubectl.run(self.sandbox, "-n", shop.NAMESPACE, *arguments)

    def tiers(self, namespace: str) -> set[str]:
        """The tiers of a platform, all of them Ready; Jobs left out."""
        with rollout.api(self.sandbox) as api:
            found = rollout.wait_until_ready(api, namespace)
        return {tier.name for tier in found if tier.kind != "Job"}


@pytest.fixture(scope="module")
def brought(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brought]:
    """Every example on its way up; whatever a failure leaves of them goes with its namespace."""
    folder = tmp_path_factory.mktemp("examples")
    _provide(cluster)
    readers = _readers(cluster, folder)
    with shop.open_in(cluster), ThreadPoolExecutor(AT_ONCE) as pool:
        under_way = {name: pool.submit(_bring_up, cluster, readers[name]) for name in LONGEST_FIRST}
        try:
            yield Brought(cluster, readers, under_way)
        finally:
            for each in under_way.values():
                each.cancel()
            pool.shutdown()
            kubectl.run(cluster, "delete", "namespace", *PLATFORMS, "--ignore-not-found")


def _provide(cluster: Sandbox) -> None:
    """Nodes, images and buckets for all of them, as `make up` does it for a stack."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # Pulumi's mocks want a current one
    try:
        planned: dict[str, Mapping[str, Any]] = {
            f"{name} {each.urn}": each.manifest
            for name in NAMES
            for each in record_example(name).objects
        }
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    stack.provide(cluster, Outcome(objects=planned), Console(quiet=True))


def _readers(cluster: Sandbox, folder: Path) -> dict[str, Reader]:
    """Somebody in a copy of each folder, with the wheel installed as its page says."""
    installed = environment_of_wheel(folder)
    told = environment(cluster, folder) | {
        "PULUMI_BACKEND_URL": f"file://{folder}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE": "a-passphrase",
    }
    values = {
        "https://s3.example.com": object_storage.ENDPOINT,
        UP: f"{UP} --yes --skip-preview",
    }
    readers: dict[str, Reader] = {}
    for name in NAMES:
        checkout = folder / name
        shutil.copytree(FOLDER / name, checkout, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        (checkout / ".venv").symlink_to(installed)
        readers[name] = Reader(checkout, dict(told), values)
    return readers


def _bring_up(cluster: Sandbox, reader: Reader) -> str:
    """Types what the page says, from `stack init` to `up`; what that printed."""
    keys = object_storage.credentials(cluster)
    answers = {
        "ado:objectStorageAccessKey": keys.access_key,
        "ado:objectStorageSecretKey": keys.secret_key,
        "ado:anthropicApiKey": "any",
        "ado:databaseUrl": shop.DATABASE_URL,
        "ado:redisUrl": shop.REDIS_URL,
    }
    page = (reader.checkout / "README.md").read_text().split("```")[1]
    lines = [line.split("  #")[0].strip() for line in page.strip().splitlines()]
    for line in lines[lines.index("pulumi stack init dev") : lines.index(UP)]:
        reader.types(line, answers.get(line.rpartition(" ")[2], ""))
    return reader.types(UP)


def _ready(brought: Brought, deployment: str) -> None:
    """Waits until all pods of a Deployment are Ready, also those of an autoscaler."""
    brought.kubectl("rollout", "status", f"deployment/{deployment}", "--timeout=2m")


def _workers(brought: Brought) -> None:
    _ready(brought, "ado-worker")  # connected to the application's Redis and orchestrator


def _gateway(brought: Brought) -> None:
    _ready(brought, "ado-api-gateway")
    inside = ("exec", "deployment/ado-api-gateway", "-c", "cache", "--")
    assert brought.kubectl(*inside, "redis-cli", "-p", "6380", "ping").strip() == "PONG"


def _postgres(brought: Brought) -> None:
    url = brought.output("postgres-alone", "databaseUrl")
    brought.kubectl("wait", "pod", "-l", "app=postgresql", "--for=condition=Ready", "--timeout=2m")
    for service, standby in (("postgresql", "f"), ("postgresql-ro", "t")):
        asked = ("psql", url.replace("@postgresql:", f"@{service}:"), "-Atc")
        inside = ("exec", "postgresql-0", "--", *asked, "SELECT pg_is_in_recovery()")
        assert brought.kubectl(*inside).strip() == standby


def _redis(brought: Brought) -> None:
    url = urlsplit(brought.output("redis-alone", "redisUrl"))
    assert len(brought.output("redis-alone", "redisNodes").split(",")) == 3
    # Not by `-u`: redis-cli does not take the password of a URL without a user's name.
    place = ("-h", str(url.hostname), "-a", str(url.password))
    asked = ("redis-cli", "--no-auth-warning", *place, "CLUSTER", "INFO")
    assert "cluster_state:ok" in brought.kubectl("exec", "redis-0", "--", *asked)


def _edge(brought: Brought) -> None:
    assert brought.output("edge-alone", "url") == "http://shop.example.com"
    path = "jsonpath={.spec.rules[*].host}"
    assert brought.kubectl("get", "ingress", "ado-ingress", "-o", path) == "shop.example.com"


def _external(brought: Brought) -> None:
    assert brought.tiers("ado-external") == set(WORKLOADS) - {"postgresql", "redis"}


def _two(brought: Brought) -> None:
    for colour in ("blue", "green"):
        assert brought.tiers(f"ado-{colour}") == set(WORKLOADS)
        assert brought.output("two-platforms", f"{colour}Url").startswith(f"http://{colour}.")


CHECKS: Final[Mapping[str, Callable[[Brought], None]]] = {
    "worker-pool": _workers,
    "extra-container": _gateway,
    "edge-alone": _edge,
    "redis-alone": _redis,
    "postgres-alone": _postgres,
    "external-stores": _external,
    "two-platforms": _two,
}


def test_every_example_is_brought_up() -> None:
    assert CHECKS.keys() == set(NAMES)


@pytest.mark.parametrize("example", CHECKS)
def test_it_comes_up_from_the_wheel_by_what_its_page_says(brought: Brought, example: str) -> None:
    assert "created" in brought.outcome(example)
    CHECKS[example](brought)


def test_each_goes_without_a_trace(brought: Brought) -> None:
    wait(brought.under_way.values())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        command = "pulumi destroy --yes --skip-preview"
        list(pool.map(lambda reader: reader.types(command), brought.readers.values()))
    kinds = "deployments,statefulsets,jobs,services,ingresses,secrets,configmaps,roles,hpa,pdb"
    of_examples = ("get", kinds, "-l", PART_OF, "-o", "name")
    for namespace in (shop.NAMESPACE, *PLATFORMS):
        assert not kubectl.run(brought.sandbox, *of_examples, "-n", namespace)
