"""PostgreSQL's backup and restore as a pair, with the real servers, rclone and a bucket."""

from __future__ import annotations

import base64
import re
import shlex
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from sandbox.cluster import object_storage
from sandbox.paths import Sandbox
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.pair import Pair, pod
from tests.cluster.reliability import record
from tests.cluster.runbooks import commands, section, typed
from tests.cluster.writing import patiently

BUCKET, PREFIX, KEEP = "ado-dev-backups", "some/postgresql", 2
SECTION = {
    "backup": {"bucket": BUCKET, "prefix": PREFIX, "retention": KEEP, "schedule": "0 0 1 1 *"}
}
"""So rare that no run but the tests' own comes in between."""
ROWS = 20_000
FILL = """
CREATE TABLE runs AS SELECT n, md5(n::text) AS v, chr(200 + n % 9000) AS sign
FROM generate_series(1, 20000) AS n;
CREATE TABLE tasks (run bigint, about text DEFAULT 'it''s a \\, a tab and a % sign');
INSERT INTO tasks SELECT n FROM runs;
CREATE INDEX ON tasks (run);
CREATE VIEW late AS SELECT * FROM runs WHERE n > 10"""
CONTENT = """
SELECT (SELECT md5(string_agg(r::text, ',' ORDER BY n)) FROM runs r) || ' '
|| (SELECT md5(string_agg(t::text, ',' ORDER BY run)) FROM tasks t) || ' '
|| (SELECT count(*) FROM late) || ' '
|| (SELECT count(*) FROM pg_indexes WHERE tablename = 'tasks')"""
RELATIONS = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
EMPTY = "DROP OWNED BY ado"
JOBS = "app.kubernetes.io/component=postgresql-backup"


@pytest.fixture(scope="module")
def deployed(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The dev stack with a backup."""
    deployment = Deployment(cluster, tmp_path_factory.mktemp("backup"))
    deployment.up({"ado:postgres": SECTION})
    return deployment


@pytest.fixture
def pair(deployed: Deployment) -> Iterator[Pair]:
    """A database with tables of known content, and nothing else; afterwards an empty one."""
    found = Pair(deployed)
    found.ask_as_ado(EMPTY)
    assert found.ask_as_ado(FILL) == ""
    yield found
    found.ask_as_ado(EMPTY)


@pytest.fixture
def backup(pair: Pair) -> str:
    """Name of a backup of that content."""
    pair.did("backup")
    return _names(pair)[0]


def _names(pair: Pair) -> list[str]:
    """The backups, newest first, as the operator's command lists them."""
    return pair.did("restore", "--list").split()


def _objects(pair: Pair) -> Path:
    """The directory that is the prefix in the bucket."""
    return object_storage.bucket(pair.deployment.sandbox, BUCKET) / PREFIX


def _refused(pair: Pair, *arguments: str) -> str:
    """What a restore said that had to fail."""
    done = pair.ops("restore", *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout + done.stderr


def _is_empty(pair: Pair) -> None:
    assert pair.ask_as_ado(RELATIONS) == "0"


def _damage(dump: Path) -> None:
    """Other bytes in the middle of a file; its size stays."""
    content = bytearray(dump.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 16] = bytes(255 - byte for byte in content[middle : middle + 16])
    dump.write_bytes(content)


def test_a_restored_backup_has_every_row_and_no_secret_shows_on_the_way(pair: Pair) -> None:
    content = pair.ask_as_ado(CONTENT)
    assert content.endswith(f" {ROWS - 10} 1"), content
    keys = pair.deployment.objects()["Secret", "ado-object-storage"]["data"]
    hidden = [pair.password, *(base64.b64decode(key).decode() for key in keys.values())]
    with pair.deployment.watched_arguments() as seen:
        began = time.monotonic()
        pair.did("backup")
        backed_up = time.monotonic()
        pair.ask_as_ado(EMPTY)
        assert pair.ask_as_ado(RELATIONS) == "0"
        name = _names(pair)[0]
        restoring = time.monotonic()
        said = pair.did("restore", name)
        restored = time.monotonic()
    record(
        "PostgreSQL: backup and restore",
        rows=2 * ROWS,
        backup_seconds=backed_up - began,
        restore_seconds=restored - restoring,
    )
    assert f"backup {name} is restored" in said
    assert pair.ask_as_ado(CONTENT) == content
    # Of two scripts one may be over between two looks.
    for scripts in ((b"dump.sh", b"upload.sh"), (b"download.sh", b"restore.sh")):
        assert any(script in arguments for arguments in seen for script in scripts)
    logs = pair.deployment.kubectl(
        *("logs", "-n", NAMESPACE, "-l", JOBS, "--all-containers", "--tail=-1", "--ignore-errors")
    )
    assert "uploaded, and read back as it was" in logs
    assert "is restored" in logs
    for secret in hidden:
        assert not [arguments for arguments in seen if secret.encode() in arguments]
        assert secret not in logs


def test_what_cannot_be_restored_is_refused_and_nothing_is_changed(pair: Pair, backup: str) -> None:
    content = pair.ask_as_ado(CONTENT)
    pair.ask_as_ado("UPDATE runs SET v = 'newer'")
    newer = pair.ask_as_ado(CONTENT)
    pair.ask_as_ado("CREATE TABLE beside AS SELECT 1 AS one")
    missing = "20200101T000000Z"
    said = _refused(pair, missing, "--into-non-empty")
    assert f"There is no backup {missing}" in said
    said = _refused(pair, backup)
    assert "Database ado is not empty (beside, late, runs, tasks); nobody was stopped" in said
    assert pair.ask_as_ado(CONTENT) == newer != content

    pair.did("restore", backup, "--into-non-empty")
    assert pair.ask_as_ado(CONTENT) == content
    assert pair.ask_as_ado("SELECT one FROM beside") == "1"

    _damage(_objects(pair) / f"{backup}.dump")
    assert "is damaged" in _refused(pair, backup, "--into-non-empty")
    assert pair.ask_as_ado(CONTENT) == content
    pair.ask_as_ado(EMPTY)
    assert "is damaged" in _refused(pair, backup)
    assert pair.ask_as_ado(RELATIONS) == "0"


def test_a_backup_of_another_stack_is_restored_by_its_prefix(pair: Pair, backup: str) -> None:
    content, former = pair.ask_as_ado(CONTENT), f"former/{backup}"
    elsewhere = object_storage.bucket(pair.deployment.sandbox, BUCKET) / former
    elsewhere.mkdir(parents=True)
    for file in _objects(pair).glob(f"{backup}.*"):
        file.rename(elsewhere / file.name)
    assert backup not in _names(pair)
    assert pair.did("restore", "--list", "--from", former).split() == [backup]
    pair.ask_as_ado(EMPTY)
    assert f"There is no backup {backup}" in _refused(pair, backup)
    pair.did("restore", backup, "--from", former)
    assert pair.ask_as_ado(CONTENT) == content


def test_only_the_last_ones_are_kept_and_what_cannot_be_uploaded_is_none(pair: Pair) -> None:
    foreign = _objects(pair) / "readme"
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_text("not ours")
    for _ in range(KEEP + 1):
        pair.did("backup")
    kept = _names(pair)
    assert len(kept) == KEEP
    files = {f"{name}.{kind}" for name in kept for kind in ("dump", "sha256")}
    assert {path.name for path in _objects(pair).iterdir()} == {*files, "readme"}
    begun = datetime.strptime(kept[0], "%Y%m%dT%H%M%SZ")

    def told_in_status() -> None:  # the CronJob's controller notes it a moment later
        done = pair.ops("status")
        (told,) = re.findall(r"Last good backup: (\S+ \S+) UTC", done.stdout)
        assert told >= f"{begun:%F %H:%M}", done.stdout
        assert not [line for line in done.stdout.splitlines() if line.startswith("- ")]

    patiently(told_in_status)
    bucket = object_storage.bucket(pair.deployment.sandbox, BUCKET)
    aside = bucket.with_name(f"{BUCKET}-aside")
    bucket.rename(aside)
    try:
        done = pair.ops("backup")
    finally:
        aside.rename(bucket)
    assert done.returncode == 1, done.stdout
    assert "directory not found" in done.stderr
    why = typed("A backup failed", "logs")[1:]
    assert "directory not found" in pair.deployment.kubectl(*why)
    assert _names(pair) == kept
    pair.deployment.wait_until_ready()  # a failed run is nothing that a deployment waits for


def test_both_volumes_lost_a_backup_brings_everything_back(pair: Pair, backup: str) -> None:
    content = pair.ask_as_ado(CONTENT)
    for ordinal in (0, 1):
        pair.did("fence", pod(ordinal))
        pair.empty_volume(ordinal)
    for ordinal in (0, 1):
        pair.did("unfence", pod(ordinal))
    pair.says(0, "waiting: the primary's volume is empty")
    *kubectl, restore = commands(section("Both volumes are lost"))
    for line in kubectl:
        pair.deployment.kubectl(*shlex.split(line)[1:])
    patiently(lambda: _is_empty(pair))
    pair.did(*shlex.split(restore)[2:-1], backup)
    assert pair.ask_as_ado(CONTENT) == content
    pair.healthy()
