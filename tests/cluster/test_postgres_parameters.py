"""PostgreSQL's own parameters on servers that run: the table of them, a change, and a bad value."""

from __future__ import annotations

from typing import Any

import pytest

from ado_infra.settings.parameters import known
from sandbox.paths import Sandbox
from tests.cluster.data import database_password, query
from tests.cluster.deployment import Deployment
from tests.cluster.writing import patiently

GIVEN = {
    "work_mem": "16MB",
    "jit": False,
    "max_worker_processes": 12,
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.max": 1000,
}
OWN = {"repository": "docker.io/library/postgres", "tag": "17.12-trixie"}
"""As an image of one's own, of which a preview does not know what it has."""
SETTINGS = """SELECT lower(name), vartype, coalesce(unit, ''), coalesce(min_val, ''),
coalesce(max_val, ''), coalesce(array_to_string(enumvals, ','), '') FROM pg_settings"""


@pytest.fixture(scope="module")
def tuned(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The dev stack with parameters of PostgreSQL."""
    deployment = Deployment(cluster, tmp_path_factory.mktemp("parameters"))
    deployment.reset()
    deployment.up({"ado:postgres": {"parameters": GIVEN}})
    return deployment


def _shown(deployment: Deployment, name: str, host: str = "postgresql") -> str:
    return query(deployment, database_password(deployment), f"SHOW {name}", host)


def test_both_servers_have_them(tuned: Deployment) -> None:
    def check() -> None:
        for host in ("postgresql", "postgresql-ro"):
            assert "16MB" in _shown(tuned, "work_mem", host)
            assert "off" in _shown(tuned, "jit", host)
            assert "12" in _shown(tuned, "max_worker_processes", host)
            assert "1000" in _shown(tuned, "pg_stat_statements.max", host)

    patiently(check, 180)


def test_the_table_is_that_of_the_server(tuned: Deployment) -> None:
    psql = "psql --no-psqlrc --host /run/postgresql --username postgres --no-align --tuples-only"
    printed = tuned.shell(f'{psql} --command "{SETTINGS}"', "postgresql-0")
    rows = dict(line.split("|", 1) for line in printed.splitlines() if line.count("|") == 5)
    for name, parameter in known().items():
        kind, unit, least, most, values = rows[name].split("|")
        assert (kind, unit) == (parameter.kind, parameter.unit), name
        assert tuple(filter(None, values.split(","))) == parameter.values, name
        if least:
            assert (float(least), float(most)) == (parameter.least, parameter.most), name


def test_a_library_that_is_not_there_stops_the_rollout_at_one_pod(tuned: Deployment) -> None:
    bad: dict[str, Any] = {"image": OWN, "parameters": {"shared_preload_libraries": "nowhere"}}
    before = tuned.pods("postgresql")
    tuned.write({"ado:postgres": bad})
    tuned.provide({"ado:postgres": bad})
    outcome = tuned.engine().up()
    assert outcome.succeeded, outcome.errors

    def stopped() -> None:
        restarts = tuned.kubectl(
            *("get", "pod", "postgresql-1", "-n", "ado-system", "-o"),
            "jsonpath={.status.containerStatuses[0].restartCount}",
        )
        assert int(restarts or "0") >= 1, "postgresql-1 has not ended"

    patiently(stopped, 180)
    assert len(before & tuned.pods("postgresql")) == 1  # pod 0 was not touched
    psql = "psql --no-psqlrc --host /run/postgresql --username postgres --command 'SELECT 1'"
    assert "1 row" in tuned.shell(psql, "postgresql-0")

    tuned.up({"ado:postgres": {"parameters": GIVEN}})

    def serves() -> None:
        for host in ("postgresql", "postgresql-ro"):
            assert "16MB" in _shown(tuned, "work_mem", host)

    patiently(serves, 180)
