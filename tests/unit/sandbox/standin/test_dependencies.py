from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sandbox.standin import dependencies
from sandbox.standin.dependencies import FRESH, Dependency, describe, from_environment

SECRET = "s3cret"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Server:
    """A dependency that a test can take away."""

    def __init__(self) -> None:
        self.problem: Exception | None = None

    async def check(self) -> str:
        if self.problem:
            raise self.problem
        return "Server 1.0"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def dependency(server: Server, clock: Clock) -> Dependency:
    return Dependency("server", "db.example", server.check, clock)


def refresh(dependency: Dependency) -> None:
    asyncio.run(dependency.refresh())


def test_nothing_is_connected_before_the_first_success(dependency: Dependency) -> None:
    assert not dependency.connected


def test_one_success_connects_and_shows_what_was_found(dependency: Dependency) -> None:
    refresh(dependency)
    assert dependency.connected
    assert dependency.detail == "Server 1.0"
    assert dependency.problem is None


def test_a_failure_within_the_last_minute_keeps_the_connection(
    dependency: Dependency, server: Server, clock: Clock
) -> None:
    refresh(dependency)
    clock.now += FRESH
    server.problem = ConnectionRefusedError(111, "refused")
    refresh(dependency)
    assert dependency.connected
    assert dependency.problem == "ConnectionRefusedError (Connection refused)"


def test_more_than_a_minute_without_a_success_loses_the_connection(
    dependency: Dependency, server: Server, clock: Clock
) -> None:
    refresh(dependency)
    server.problem = TimeoutError()
    clock.now += FRESH + 1
    refresh(dependency)
    assert not dependency.connected
    assert dependency.seconds == FRESH + 1


def test_a_check_that_stops_running_loses_the_connection_too(
    dependency: Dependency, clock: Clock
) -> None:
    refresh(dependency)
    clock.now += FRESH + 1
    assert not dependency.connected


def test_a_dependency_that_comes_back_is_connected_from_then_on(
    dependency: Dependency, clock: Clock
) -> None:
    refresh(dependency)
    clock.now += FRESH + 1
    refresh(dependency)
    clock.now += 5
    assert dependency.connected
    assert dependency.seconds == 5


def test_seconds_connected_survive_a_short_failure(
    dependency: Dependency, server: Server, clock: Clock
) -> None:
    refresh(dependency)
    clock.now += 20
    server.problem = TimeoutError()
    refresh(dependency)
    server.problem = None
    refresh(dependency)
    assert dependency.seconds == 20


def test_an_error_is_described_without_its_own_message() -> None:
    class PostgresError(Exception):
        sqlstate = "28P01"

    assert describe(PostgresError(SECRET)) == "PostgresError (28P01)"
    assert describe(ValueError(SECRET)) == "ValueError"
    assert describe(ConnectionRefusedError(111, SECRET)).endswith("(Connection refused)")


def test_an_error_that_another_caused_is_described_by_the_cause() -> None:
    refused = ConnectionRefusedError(111, SECRET)
    failed = ValueError(SECRET)
    failed.__cause__ = refused
    assert describe(failed) == "ConnectionRefusedError (Connection refused)"


def test_a_check_that_takes_too_long_is_called_that(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(dependencies, "TIMEOUT", 0.01)

    async def hang() -> str:
        await asyncio.sleep(60)
        return "never"

    hanging = Dependency("server", "db.example", hang, clock)
    refresh(hanging)
    assert hanging.problem == "TimeoutError"


def test_nothing_given_is_nothing_needed(tmp_path: Path) -> None:
    assert from_environment({"PATH": "/usr/bin"}, tmp_path / "not mounted") == []


def test_only_the_host_of_a_url_is_kept_for_display() -> None:
    found = from_environment(
        {
            "DATABASE_URL": f"postgresql://ado:{SECRET}%40x@postgresql:5432/ado",
            "REDIS_URL": f"redis://:{SECRET}@redis:6379/0",
        }
    )
    assert [(each.name, each.host) for each in found] == [
        ("postgresql", "postgresql"),
        ("redis", "redis"),
    ]


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://{SECRET}/x@postgresql/ado",
        f"postgresql://{SECRET}#x@postgresql/ado",
        f"postgresql://ado:[{SECRET}@postgresql/ado",
        f"postgresql://ado:{SECRET}\u2100@postgresql/ado",
        SECRET,
    ],
)
def test_a_broken_url_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL is not a valid URL") as raised:
        from_environment({"DATABASE_URL": url})
    assert SECRET not in str(raised.value)


def test_a_readable_config_file_counts_as_connected(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("server: {port: 3000}\n")
    (config,) = from_environment({"ADO_CONFIG_FILE": str(file)})
    refresh(config)
    assert config.connected
    assert config.detail.startswith("sha256 ")
    assert "3000" not in config.detail


@pytest.mark.parametrize("content", [None, "server: {port: 3000"])
def test_a_missing_or_broken_config_file_does_not(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "config.yaml"
    if content is not None:
        file.write_text(content)
    (config,) = from_environment({"ADO_CONFIG_FILE": str(file)})
    refresh(config)
    assert not config.connected


S3 = {
    "S3_ENDPOINT": "http://127.0.0.1:1",
    "S3_REGION": "eu-1",
    "S3_BUCKET_CHECKPOINTS": "checkpoints",
    "S3_BUCKET_ARTIFACTS": "artifacts",
    "AWS_ACCESS_KEY_ID": "SANDBOX",
    "AWS_SECRET_ACCESS_KEY": SECRET,
}


@pytest.mark.parametrize("missing", sorted(S3.keys() - {"S3_ENDPOINT"}))
def test_object_storage_without_all_that_belongs_to_it_is_refused_by_name(missing: str) -> None:
    with pytest.raises(ValueError, match=f"without {missing}") as raised:
        from_environment({**S3, missing: ""})
    assert SECRET not in str(raised.value)


def test_mounted_credentials_count_when_every_file_has_content(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()  # how the kubelet publishes a Secret's files
    (tmp_path / "google-api-key").write_text(SECRET)
    (tmp_path / "anthropic-api-key").write_text(SECRET)
    (credentials,) = from_environment({}, tmp_path)
    refresh(credentials)
    assert credentials.connected
    assert credentials.detail == "anthropic-api-key, google-api-key"


@pytest.mark.parametrize("files", [{}, {"empty": ""}, {"full": SECRET, "empty": ""}, {".hid": "x"}])
def test_mounted_credentials_that_are_missing_or_empty_do_not(
    tmp_path: Path, files: dict[str, str]
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    (credentials,) = from_environment({}, tmp_path)
    refresh(credentials)
    assert not credentials.connected


@pytest.mark.parametrize("seeds", ["", "127.0.0.1:1"])
def test_drivers_that_reach_nobody_report_it_without_credentials(seeds: str) -> None:
    found = from_environment(
        {
            "DATABASE_URL": f"postgresql://ado:{SECRET}@127.0.0.1:1/ado",
            "REDIS_URL": f"redis://:{SECRET}@127.0.0.1:1/0",
            "REDIS_CLUSTER_NODES": seeds,
            "CONTROLLER_URL": f"http://user:{SECRET}@127.0.0.1:1",
            **S3,
        }
    )
    assert len(found) == 4
    for dependency in found:
        refresh(dependency)
        assert not dependency.connected
        assert dependency.problem
        assert SECRET not in dependency.problem
