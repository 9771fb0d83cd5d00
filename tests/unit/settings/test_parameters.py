"""PostgreSQL's own parameters: what a stack may set, and what no server would start with."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from ado_infra.data.postgres.postgres import files
from ado_infra.kit.spec import ImageVersion
from ado_infra.settings import PostgresSettings
from ado_infra.settings.parameters import REFUSED, configuration, known
from tests.support.manifests import changes
from tests.support.recording import record_stack


def _settings(**given: Any) -> PostgresSettings:
    return PostgresSettings(parameters=given)


def _refusal(**given: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        _settings(**given)
    (error,) = refused.value.errors()
    return str(error["msg"])


def test_whatever_the_platform_tells_the_server_is_refused_with_the_reason() -> None:
    told = files(PostgresSettings())
    lines = re.findall(r"^([a-z_]+) = ", told["postgresql.conf"], re.MULTILINE)
    options = re.findall(r"-c \"?([a-z_]+)=", told["start.sh"])
    assert len(lines) > 15
    assert len(options) > 5
    for name in {*lines, *options}:
        assert REFUSED[name] in _refusal(**{name: "x"}), name


def test_what_is_refused_is_not_offered() -> None:
    assert not REFUSED.keys() & known().keys()
    assert all(re.match(r"(is|has|would|derives|needs|keeps) ", why) for why in REFUSED.values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("work_mem", "16MB"),
        ("work_mem", 16384),
        ("work_mem", "1.5 GB"),
        ("random_page_cost", 1.1),
        ("random_page_cost", "1.1"),
        ("jit", False),
        ("jit", "off"),
        ("constraint_exclusion", "partition"),
        ("constraint_exclusion", True),
        ("statement_timeout", 0),
        ("statement_timeout", "5min"),
        ("autovacuum_vacuum_cost_delay", "2ms"),
        ("log_min_duration_statement", -1),
        ("search_path", '"$user", public'),
        ("shared_preload_libraries", "pg_stat_statements, auto_explain"),
        ("pg_stat_statements.max", 5000),
        ("max_locks_per_transaction", 256),
        ("wal_buffers", -1),
    ],
)
def test_what_a_server_starts_with_is_taken(name: str, value: object) -> None:
    assert _settings(**{name: value}).parameters == {name: value}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("work_mem", "16MiB", "has a unit that PostgreSQL does not know here; it takes one of B"),
        ("work_mem", "16mb", "has a unit"),
        ("work_mem", "32kB", "is out of range: from 64 to 2147483647 x kB"),
        ("work_mem", "16 s", "has a unit"),
        ("work_mem", "much", "is no number"),
        ("work_mem", True, "is no number"),
        ("max_worker_processes", 4, "is out of range: from 8 to 256"),
        ("max_prepared_transactions", "5s", "it takes none"),
        ("random_page_cost", -1, "is out of range"),
        ("jit", "maybe", "is neither on nor off"),
        ("log_statement", "some", "is none of none, ddl, mod, all"),
        ("statement_timeout", "1ms", "is out of range: from 1000"),
        ("search_path", "a\nfsync = off", "must be a number, true, false, or text of one line"),
        ("work_memm", "16MB", "did you mean work_mem?"),
        ("Work_Mem", "16MB", "did you mean work_mem?"),
        ("lc_messages", "xx", "can be told from wrong ones without it"),
        ("transaction_isolation", "serializable", "did you mean default_transaction_isolation?"),
    ],
)
def test_what_no_server_starts_with_is_refused(name: str, value: object, said: str) -> None:
    assert said in _refusal(**{name: value})


def test_a_library_that_the_official_image_lacks_is_refused_and_in_ones_own_image_taken() -> None:
    asked: dict[str, bool | float | str] = {
        "shared_preload_libraries": "pg_stat_statements,timescaledb"
    }
    assert "parameters.shared_preload_libraries = timescaledb: the official" in _refusal(**asked)
    own = ImageVersion(repository="registry.example.com/data/timescale", tag="2.20-pg17")
    assert PostgresSettings(image=own, parameters=asked).parameters == asked


def test_a_value_is_quoted_as_the_file_wants_it() -> None:
    told = configuration({"work_mem": "16MB", "jit": False, "search_path": "it's\\n", "a.b": 1.5})
    assert told.splitlines() == [
        "a.b = '1.5'",
        "jit = 'off'",
        "search_path = 'it''s\\\\n'",
        "work_mem = '16MB'",
    ]


def test_they_come_after_what_the_platform_says_and_roll_the_pods() -> None:
    parameters = {"work_mem": "16MB", "jit": False}
    before = record_stack("dev")
    after = record_stack("dev", changes={"ado:postgres": {"parameters": parameters}})
    told = after.get("ConfigMap", "postgresql-config")["data"]["postgresql.conf"]
    assert told == before.get("ConfigMap", "postgresql-config")["data"]["postgresql.conf"] + (
        "jit = 'off'\nwork_mem = '16MB'\n"
    )
    assert changes(before, after).keys() == {
        ("ConfigMap", "postgresql-config"),
        ("StatefulSet", "postgresql"),
    }
