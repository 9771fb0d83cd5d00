"""The sandbox's S3 server: its keys, how it is started, the buckets of a plan."""

from __future__ import annotations

import csv
import stat
from pathlib import Path
from typing import Any

import pytest

from sandbox.cluster import object_storage
from sandbox.cluster.object_storage import Credentials, credentials, make_buckets
from sandbox.deploy.planned import buckets_needed
from sandbox.errors import SandboxError
from sandbox.host import programs
from sandbox.host.programs import Program
from sandbox.paths import Sandbox

TOOLS = {"rclone": Path("/cache/rclone")}


def buckets(sandbox: Sandbox) -> list[str]:
    return sorted(path.name for path in (sandbox.state / "object-storage" / "buckets").glob("*"))


def workload(**environment: str | dict[str, str]) -> dict[str, Any]:
    """A planned Deployment whose pods have these variables."""
    variables = [
        {"name": name, "value": value} if isinstance(value, str) else {"name": name, **value}
        for name, value in environment.items()
    ]
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", "env": variables}]}}}}


def test_keys_are_made_once_and_are_roots_alone(sandbox: Sandbox) -> None:
    made = credentials(sandbox)
    assert credentials(sandbox) == made
    file = sandbox.state / "object-storage" / "credentials.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_sandboxes_have_different_keys(sandbox: Sandbox) -> None:
    assert sandbox.name != "other"
    ours, theirs = credentials(sandbox), credentials(Sandbox("other"))
    assert ours.access_key != theirs.access_key
    assert ours.secret_key != theirs.secret_key


def test_the_secret_key_has_signs_that_a_url_must_encode(sandbox: Sandbox) -> None:
    assert {"+", "/"} <= set(credentials(sandbox).secret_key)


def test_the_server_gets_its_keys_by_its_environment_alone(sandbox: Sandbox) -> None:
    server, keys = object_storage.program(sandbox, TOOLS), credentials(sandbox)
    assert keys.secret_key in server.environment["RCLONE_AUTH_KEY"]
    assert keys.secret_key not in " ".join(server.command)
    assert keys.secret_key not in repr(server)


def test_the_server_is_the_same_at_every_start(sandbox: Sandbox) -> None:
    assert object_storage.program(sandbox, TOOLS) == object_storage.program(sandbox, TOOLS)


def test_the_list_with_the_keys_is_roots_alone_and_reads_back_whole(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_start_supervisor", lambda _: None)
    listed = [object_storage.program(sandbox, TOOLS), Program("other", ("sleep", "1"), "any")]
    programs.apply(sandbox, listed)
    assert programs.read_list(sandbox) == listed
    assert stat.S_IMODE(programs.list_path(sandbox).stat().st_mode) == 0o600


@pytest.mark.parametrize("secret_key", ["plain", "@:/%+'\"", '"', 'a"b'])
def test_any_secret_key_is_one_field_of_the_variable(secret_key: str) -> None:
    (fields,) = csv.reader([object_storage._quoted(Credentials("KEY", secret_key))], strict=True)
    assert fields == [f"KEY,{secret_key}"]


def test_buckets_that_planned_pods_are_told_of_are_made(sandbox: Sandbox) -> None:
    orchestrator = workload(S3_BUCKET_CHECKPOINTS="checkpoints", S3_BUCKET_ARTIFACTS="artifacts")
    service = {"spec": {"ports": []}}
    make_buckets(
        sandbox, buckets_needed([orchestrator, workload(S3_REGION="eu"), service, {"data": {}}])
    )
    assert buckets(sandbox) == ["artifacts", "checkpoints"]


def test_the_bucket_of_a_cron_jobs_pods_is_made_too(sandbox: Sandbox) -> None:
    make_buckets(
        sandbox, buckets_needed([{"spec": {"jobTemplate": workload(S3_BUCKET_BACKUPS="backups")}}])
    )
    assert buckets(sandbox) == ["backups"]


def test_a_bucket_that_is_there_keeps_its_objects(sandbox: Sandbox) -> None:
    planned = [workload(S3_BUCKET_ARTIFACTS="artifacts")]
    make_buckets(sandbox, buckets_needed(planned))
    (sandbox.state / "object-storage" / "buckets" / "artifacts" / "object").touch()
    make_buckets(sandbox, buckets_needed(planned))
    assert (sandbox.state / "object-storage" / "buckets" / "artifacts" / "object").exists()


def test_a_bucket_that_only_the_cluster_knows_by_name_is_nobodys_here(sandbox: Sandbox) -> None:
    make_buckets(
        sandbox, buckets_needed([workload(S3_BUCKET_ARTIFACTS={"valueFrom": "a ConfigMap"})])
    )
    assert buckets(sandbox) == []


@pytest.mark.parametrize("name", ["../outside", "/etc", "..", "Capital", "a"])
def test_what_cannot_name_a_bucket_makes_no_directory(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(SandboxError, match="cannot name a bucket"):
        make_buckets(sandbox, buckets_needed([workload(S3_BUCKET_ARTIFACTS=name)]))
    assert buckets(sandbox) == []
