"""A platform whose secrets are all in Secrets of others: it runs, and follows what they change."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping

import pytest
from pulumi.automation import events

from sandbox.cluster import object_storage
from tests.cluster.deployment import NAMESPACE, Deployment

NAMED = {
    "anthropicApiKey": {"secret": "kept-models", "key": "anthropic"},
    "googleApiKey": {"secret": "kept-models"},
    "databasePassword": {"secret": "kept-passwords", "key": "database"},
    "replicationPassword": {"secret": "kept-passwords", "key": "replication"},
    "redisPassword": {"secret": "kept-passwords", "key": "redis"},
    "objectStorageAccessKey": {"secret": "kept-storage"},
    "objectStorageSecretKey": {"secret": "kept-storage"},
}
CHANGES = {"ado:secrets": NAMED}
OTHER = "Another-password_1.~"
READERS = tuple(
    f"deployment/{name}" for name in ("ado-api-gateway", "ado-orchestrator", "ado-worker")
)
READ = "import os; print(os.environ['DATABASE_URL'], os.environ['REDIS_URL'])"
LISTED = (
    "import glob, json; print(json.dumps(sorted(glob.glob('*', root_dir='/etc/ado/credentials'))))"
)


def _living(deployment: Deployment, name: str) -> dict[str, str]:
    data = deployment.objects()["Secret", name]["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def _keep(deployment: Deployment, name: str, data: Mapping[str, str]) -> None:
    """Writes a Secret as somebody who keeps it."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "stringData": data,
    }
    deployment.kubectl("apply", "-f", "-", given=json.dumps(manifest))


def _warned(deployment: Deployment) -> str:
    """What a preview warns of."""
    said: list[str] = []

    def see(event: events.EngineEvent) -> None:
        diagnostic = event.diagnostic_event
        if diagnostic and diagnostic.severity == "warning":
            said.append(diagnostic.message)

    deployment.write(CHANGES)
    planned = deployment.engine().preview(see, refresh=False)
    assert planned.succeeded, planned.errors
    return "\n".join(said)


@pytest.fixture
def kept(deployment: Deployment) -> Iterator[Deployment]:
    yield deployment
    deployment.up()  # first: pods would wait for what is taken away
    names = sorted({each["secret"] for each in NAMED.values()})
    deployment.kubectl("delete", "secret", "-n", NAMESPACE, "--ignore-not-found", *names)


def test_it_comes_up_has_no_secret_of_its_own_and_follows_another_password(
    kept: Deployment,
) -> None:
    database, redis = _living(kept, "postgresql"), _living(kept, "redis")
    told = _warned(kept)
    assert "Secret kept-models is not there" in told
    assert "create secret generic kept-models --from-file=anthropic=FILE" in told
    _keep(kept, "kept-models", {"anthropic": "sk-kept", "google-api-key": "AIza-kept"})
    passwords = {
        "database": database["password"],
        "replication": database["replication-password"],
        "redis": redis["password"],
    }
    _keep(kept, "kept-passwords", {**passwords, "redis": ""})
    keys = object_storage.credentials(kept.sandbox)
    _keep(kept, "kept-storage", {"access-key": keys.access_key, "secret-key": keys.secret_key})
    told = _warned(kept)
    assert "Secret kept-passwords, key redis, which ado:secrets.redisPassword names, is emp" in told
    _keep(kept, "kept-passwords", passwords)
    assert "Secret kept-" not in _warned(kept)

    kept.up(CHANGES)
    secrets = {name for kind, name in kept.objects() if kind == "Secret"}
    assert secrets == {"ado-digest-key"}
    urls = (
        f"postgresql://ado:{database['password']}@postgresql:5432/ado redis://:{redis['password']}"
    )
    assert kept.inside(READ, "ado-orchestrator").startswith(urls)
    assert json.loads(kept.inside(LISTED, "ado-worker")) == ["anthropic-api-key", "google-api-key"]

    _keep(kept, "kept-passwords", {**passwords, "database": OTHER})
    seen = kept.ops("postgres", "status")
    assert seen.returncode == 3
    assert "Secret kept-passwords has a password that role ado is refused with" in seen.stdout
    done = kept.ops("postgres", "rotate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert OTHER not in done.stdout + done.stderr
    kept.wait_until_ready()  # Ready is who is connected
    assert f"ado:{OTHER}@postgresql" in kept.inside(READ, "ado-orchestrator")
    seen = kept.ops("postgres", "status")
    assert seen.returncode == 0, seen.stdout

    others = {**passwords, "database": OTHER, "replication": OTHER, "redis": OTHER}
    _keep(kept, "kept-passwords", others)
    for workload in ("statefulset/postgresql", "statefulset/redis", *READERS):
        kept.kubectl("-n", NAMESPACE, "rollout", "restart", workload)
        kept.kubectl("-n", NAMESPACE, "rollout", "status", workload, "--timeout=280s")
    kept.wait_until_ready()
    assert f"redis://:{OTHER}@redis" in kept.inside(READ, "ado-orchestrator")
    for store in ("postgres", "redis"):
        seen = kept.ops(store, "status")
        assert seen.returncode == 0, seen.stdout
    # Known to nobody but its keeper: the stack has nothing to change.
    assert set(kept.up(CHANGES).changes) == {"same"}
