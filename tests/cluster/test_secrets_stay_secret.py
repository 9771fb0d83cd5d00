"""Canary values of every secret, searched for everywhere but in the Secret that holds them."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Generator, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from ado_infra.secrets import STORE_SECRETS, ConfigSecret
from ado_infra.settings import Mode
from sandbox.cluster import cluster as clusters
from sandbox.paths import Sandbox
from tests.cluster.data import AWKWARD, database_password, query, redis, redis_password
from tests.cluster.deployment import Deployment
from tests.cluster.test_platform_changes import WORKLOADS, rolled_by, touched

_UNREAD = {
    *(secret for secret, (_, mode) in STORE_SECRETS.items() if mode is Mode.EXTERNAL),
    *(ConfigSecret.BACKUP_ACCESS_KEY, ConfigSecret.BACKUP_SECRET_KEY),
    ConfigSecret.REGISTRY_PASSWORD,
}
GIVEN = [secret for secret in ConfigSecret if secret not in _UNREAD]
"""Every secret of a stack whose stores are its own."""
HOLDERS = {
    ("Secret", name)
    for name in (
        "ado-agent-credentials",
        "ado-object-storage",
        "ado-secrets",
        "postgresql",
        "redis",
    )
}
READERS = {
    *("ado-configuration-agent-credentials", "ado-stores-object-storage-credentials"),
    *("ado-stores-postgres-passwords", "ado-stores-postgres-workload-statefulset"),
    *("ado-stores-redis-password", "ado-stores-redis-workload-statefulset"),
    *("ado-stores-connections-urls", "ado-gateway-workload-deployment"),
    *("ado-orchestrator-workload-deployment", "ado-worker-default-workload-deployment"),
}
"""Logical names of what holds a secret, and of what reads it."""


def _canary(key: str) -> str:
    if key == ConfigSecret.OBJECT_STORAGE_ACCESS_KEY:
        return "CANARYOBJECTSTORAGEACCESSKEY"  # part of a header whose signs mean something
    return f"canary-{key}-{AWKWARD}-end"


def _forms(value: str) -> dict[str, bytes]:
    """A value in every form in which it might leak; base64 at each of its three alignments."""
    forms = {
        "as given": value,
        "JSON-escaped": json.dumps(value)[1:-1],
        "percent-encoded": urllib.parse.quote(value, safe=""),
        "form-encoded": urllib.parse.quote_plus(value),
    }
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + value.encode()).decode()
        forms[f"base64 at {shift}"] = encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4]
    return {name: form.encode() for name, form in forms.items()}


def _leaks(content: bytes) -> list[str]:
    return [
        f"{key} {name}"
        for key in GIVEN
        for name, form in _forms(_canary(key)).items()
        if form in content
    ]


@dataclass(frozen=True)
class Changed:
    """What was seen of a deployment that was given the canaries."""

    deployment: Deployment
    touched: Mapping[str, str]
    """Logical name → operation of what was touched."""
    rolled: Set[str]
    """The workloads that have none of their pods left."""
    former: tuple[str, str]
    """The passwords of the database and of Redis until then."""
    arguments: Set[bytes]
    """Every argument list of any process meanwhile."""


@pytest.fixture(scope="module")
def changed(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Changed]:
    """The dev stack, given canaries, then changed, so that history and backups exist."""
    deployment = Deployment(cluster, tmp_path_factory.mktemp("canary"))
    deployment.reset()
    engine = deployment.engine()  # puts the sandbox's own secrets in, which are kept for later
    before = (engine.project / "Pulumi.dev.yaml").read_bytes()
    former = database_password(deployment), redis_password(deployment)
    assert "1 row" in query(deployment, former[0])
    assert redis(deployment, former[1], "ping") == "PONG"
    with _object_storage_opens_to_the_canaries(cluster):
        with deployment.watched_arguments() as arguments:
            for key in GIVEN:
                engine.set_secret(f"ado:{key}", _canary(key))
            outcome, rolled = rolled_by(deployment)
            deployment.up({"ado:config": {"orchestration": {"maxParallelAgents": 8}}})
        yield Changed(deployment, touched(outcome), rolled, former, arguments)
        (engine.project / "Pulumi.dev.yaml").write_bytes(before)
    deployment.reset()


@pytest.fixture(scope="module")
def canaries(changed: Changed) -> Deployment:
    """That deployment."""
    return changed.deployment


@contextmanager
def _object_storage_opens_to_the_canaries(cluster: Sandbox) -> Generator[None]:
    file = cluster.state / "object-storage" / "credentials.json"
    own = file.read_text()
    keys = {
        "access_key": _canary(ConfigSecret.OBJECT_STORAGE_ACCESS_KEY),
        "secret_key": _canary(ConfigSecret.OBJECT_STORAGE_SECRET_KEY),
    }
    for content in (json.dumps(keys), own):
        file.write_text(content)
        clusters.up(cluster, None, Console())
        if content != own:
            yield


def test_new_secrets_roll_their_readers_and_the_old_passwords_are_refused(changed: Changed) -> None:
    assert changed.touched == dict.fromkeys(READERS, "update")
    assert changed.rolled == set(WORKLOADS) - {"ado-dashboard"}
    database, cache = (_canary(f"{store}Password") for store in ("database", "redis"))
    assert "1 row" in query(changed.deployment, database)
    assert "password authentication failed" in query(changed.deployment, changed.former[0])
    assert redis(changed.deployment, cache, "ping") == "PONG"
    assert "WRONGPASS" in redis(changed.deployment, changed.former[1], "ping")


def test_the_search_finds_what_is_there(canaries: Deployment) -> None:
    objects = canaries.objects()
    held = b"".join(json.dumps(objects[holder]["data"]).encode() for holder in HOLDERS)
    assert {leak.split()[0] for leak in _leaks(held)} == set(GIVEN)
    for value in _forms(_canary("googleApiKey")).values():
        assert _leaks(b"around " + value + b" it")


def test_no_file_of_the_engine_holds_a_secret(canaries: Deployment) -> None:
    searched = 0
    for path in canaries.sandbox.pulumi.rglob("*"):
        if path.is_file():
            searched += 1
            assert _leaks(path.read_bytes()) == [], f"{path} leaks"
    assert any((canaries.sandbox.pulumi / "state").rglob("*history*"))
    assert searched > 5


def test_no_log_holds_a_secret(canaries: Deployment) -> None:
    of_programs = list(canaries.sandbox.logs.glob("*.log"))
    of_pods = list(canaries.sandbox.state.glob("nodes/*/pod-logs/*/*/*.log"))
    assert of_programs
    assert {"postgresql", "redis", "worker"} <= {path.parent.name for path in of_pods}
    for path in of_programs + of_pods:
        assert _leaks(path.read_bytes()) == [], f"{path} leaks"


def test_no_volume_holds_a_secret(canaries: Deployment) -> None:
    kept = [path for path in canaries.sandbox.volumes.rglob("*") if path.is_file()]
    assert any(path.name == "PG_VERSION" for path in kept)
    assert any(path.name == "nodes.conf" for path in kept)
    for path in kept:
        assert _leaks(path.read_bytes()) == [], f"{path} leaks"


def test_no_preview_or_export_shows_a_secret(canaries: Deployment) -> None:
    canaries.write({"ado:gateway": {"image": {"tag": "0.3.0"}}})
    canaries.engine().set_secret("ado:googleApiKey", _canary("googleApiKey") + "2")
    planned = canaries.engine().preview()
    assert planned.succeeded
    assert "[secret]" in planned.text
    assert _leaks(planned.text.encode()) == []
    shown = canaries.command("preview")
    assert "~ update Secret" in shown.stdout
    assert _leaks((shown.stdout + shown.stderr).encode()) == []
    assert _leaks(json.dumps(canaries.state().outputs).encode()) == []


def test_no_object_but_its_secret_holds_a_secret(canaries: Deployment) -> None:
    for key, manifest in canaries.objects().items():
        shown = manifest["metadata"] if key in HOLDERS else manifest
        assert _leaks(json.dumps(shown).encode()) == [], f"{key} leaks"


def test_no_process_is_given_a_secret_as_an_argument(changed: Changed) -> None:
    assert any(b"pulumi" in line for line in changed.arguments)
    assert _leaks(b"\n".join(changed.arguments)) == []


def test_the_passphrase_is_readable_by_its_owner_alone(canaries: Deployment) -> None:
    passphrase: Path = canaries.sandbox.pulumi / "passphrase"
    assert passphrase.stat().st_mode & 0o777 == 0o600
