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
def deployed(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The dev stack as committed."""
    deployment = Deployment(cluster, tmp_path_factory.mktemp("parameters"))
    deployment.reset()
    return deployment


def _shown(deployment: Deployment, name: str, host: str = "postgresql") -> str:
    return query(deployment, database_password(deployment), f"SHOW {name}", host)


def test_the_table_is_that_of_the_server(deployed: Deployment) -> None:
    psql = "psql --no-psqlrc --host /run/postgresql --username postgres --no-align --tuples-only"
    printed = deployed.shell(f'{psql} --command "{SETTINGS}"', "postgresql-0")
    rows = dict(line.split("|", 1) for line in printed.splitlines() if line.count("|") == 5)
    for name, parameter in known().items():
        kind, unit, least, most, values = rows[name].split("|")
        assert (kind, unit) == (parameter.kind, parameter.unit), name
        assert tuple(filter(None, values.split(","))) == parameter.values, name
        if least:
            assert (float(least), float(most)) == (parameter.least, parameter.most), name


def test_a_bad_value_stops_the_rollout_at_one_pod_and_good_ones_reach_both(
    deployed: Deployment,
) -> None:
    bad: dict[str, Any] = {"image": OWN, "parameters": {"shared_preload_libraries": "nowhere"}}
    before = deployed.pods("postgresql")
    deployed.write({"ado:postgres": bad})
    deployed.provide({"ado:postgres": bad})
    outcome = deployed.engine().up()
    assert outcome.succeeded, outcome.errors

    def stopped() -> None:
        restarts = deployed.kubectl(
            *("get", "pod", "postgresql-1", "-n", "ado-system", "-o"),
            "jsonpath={.status.containerStatuses[0].restartCount}",
        )
        assert int(restarts or "0") >= 1, "postgresql-1 has not ended"

    patiently(stopped, 180)
    assert len(before & deployed.pods("postgresql")) == 1  # pod 0 was not touched
    psql = "psql --no-psqlrc --host /run/postgresql --username postgres --command 'SELECT 1'"
    assert "1 row" in deployed.shell(psql, "postgresql-0")

    deployed.up({"ado:postgres": {"parameters": GIVEN}})

    def serves() -> None:
        for host in ("postgresql", "postgresql-ro"):
            assert "16MB" in _shown(deployed, "work_mem", host)
            assert "off" in _shown(deployed, "jit", host)
            assert "12" in _shown(deployed, "max_worker_processes", host)
            assert "1000" in _shown(deployed, "pg_stat_statements.max", host)

    patiently(serves, 180)
