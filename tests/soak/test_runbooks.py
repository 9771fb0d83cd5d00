"""Runbooks of PostgreSQL that no other test follows, typed as docs/data-runbooks.md has them.

Each test leaves one pod the primary and the other one following, whichever.
"""

from __future__ import annotations

import shlex
import shutil

import pytest

from tests.cluster.data import ready_container
from tests.cluster.pair import Pair, pod
from tests.cluster.runbooks import commands, section
from tests.cluster.test_postgres_services import led
from tests.cluster.writing import patiently

ANOTHER = "waiting: this volume has another database"
"""What a standby says; a former primary is one, whichever database it has."""
FORMER = "waiting: this was the primary"
MAKE_ANOTHER = """initdb --pgdata "$PGDATA" --username postgres --encoding UTF8 --data-checksums \\
--locale-provider builtin --locale C.UTF-8 --set huge_pages=off --auth-local peer \\
--auth-host scram-sha-256"""
"""As the start script does it."""


def test_the_claim_of_a_lost_volume_is_deleted_and_another_one_is_filled(pair: Pair) -> None:
    pair.led_by(0)
    before = pair.volume(1)
    of_claim, of_pod = commands(section("Lost volume"))[:2]
    for line in (of_claim, of_pod):
        _types(pair, line)
    pair.says(1, f"copying {pod(0)}")
    pair.healthy()
    assert pair.primary == 0
    assert pair.volume(1) != before
    assert pair.kept()


def test_of_two_databases_that_of_the_primary_is_the_truth(pair: Pair) -> None:
    _two_databases(pair, former=0)
    pair.says(1, ANOTHER)
    (reclone,) = commands(section("Two databases"))
    without, _, flag = reclone.rpartition(" ")
    refused = pair.ops(*shlex.split(without)[2:])
    assert refused.returncode == 1
    assert flag in refused.stderr
    _types(pair, reclone)
    pair.healthy()
    assert pair.primary == 0
    assert "does not exist" in pair.ask_as_ado("SELECT value FROM kept")


@pytest.mark.parametrize("former", [0, 1])
def test_of_two_databases_that_of_the_other_pod_is_the_truth(pair: Pair, former: int) -> None:
    _two_databases(pair, former=former)
    pair.says(1, FORMER if former else ANOTHER)
    _, _, fence, promote, rejoin = commands(section("Both pods are primary"))
    _types(pair, fence)
    patiently(lambda: _types(pair, promote))  # once a standby serves what it has
    _types(pair, f"{rejoin} --reclone")
    pair.healthy()
    assert pair.primary == 1
    assert led(pair) == (1, 0)
    assert pair.kept()


def test_of_two_primaries_the_recorded_one_is_the_truth(pair: Pair) -> None:
    _two_primaries(pair)
    fence, rejoin = commands(section("Both pods are primary"))[:2]
    _types(pair, fence)
    assert pair.ask(0, "SELECT pg_is_in_recovery()") == "f"
    _types(pair, rejoin)
    pair.healthy()
    assert pair.primary == 0
    assert pair.ask_as_ado("SELECT value FROM kept ORDER BY 1") == "kept-row\nof pod 0"


def test_of_two_primaries_the_other_one_is_the_truth(pair: Pair) -> None:
    _two_primaries(pair)
    first, _, fence, promote, rejoin = commands(section("Both pods are primary"))
    for line in (first, fence, promote, rejoin):
        _types(pair, line)
    pair.healthy()
    assert pair.primary == 1
    assert led(pair) == (1, 0)
    assert pair.ask_as_ado("SELECT value FROM kept ORDER BY 1") == "kept-row\nof pod 1"


def test_what_is_typed_to_look_answers_as_it_stands(pair: Pair) -> None:
    pair.led_by(0)
    by_hand = {
        "SQL by hand": ("SELECT value FROM kept;\n", "kept-row"),
        "Redis by hand": ("redis-cli -h redis-1.redis-headless ping\n", "PONG"),
    }
    for title, (given, answer) in by_hand.items():
        (line,) = [each for each in commands(section(title)) if each.startswith("kubectl")]
        # Without a terminal `-t` is said to be impossible, and left out.
        assert answer in pair.deployment.kubectl(*shlex.split(line)[1:], given=given)
    looks = {
        "A third of the keys is away": ("describe pod", "redis-1"),
        "A pod is Pending": ("describe pod", pod(0)),
        "A node does not answer": ("get pods", pod(0)),
        "The create Job waits": ("logs", ""),  # its pod may have gone with a node
    }
    for title, (words, answer) in looks.items():
        (line,) = [each for each in commands(section(title)) if words in each]
        assert answer in pair.deployment.kubectl(*shlex.split(line)[1:])


def _types(pair: Pair, line: str) -> None:
    """Types a line of the runbooks, which must succeed."""
    program, *words = shlex.split(line)
    if program == "kubectl":
        pair.deployment.kubectl(*words)
    else:
        assert (program, words[0]) == ("ado-ops", "postgres")
        pair.did(*words[1:])


def _two_databases(pair: Pair, *, former: int) -> None:
    """Pod 0 has an empty database of its own, and is the primary by the record.

    Pod 1 has what there was: as a standby, or as the primary that it was.
    """
    pair.led_by(former)
    for ordinal in (1 - former, former):
        pair.did("fence", pod(ordinal))
    shutil.rmtree(pair.volume(0) / "pgdata")
    made = pair.deployment.shell(MAKE_ANOTHER, pod(0))
    assert (pair.volume(0) / "pgdata" / "PG_VERSION").exists(), made
    pair.record(primary="0", fenced="1")
    pair.delete_pods(0)
    patiently(lambda: _serves(pair, 0))
    pair.record(fenced=None)
    pair.delete_pods(1)

    def told() -> None:
        status = pair.ops("status")
        assert status.returncode == 3
        assert "The volumes have different databases" in status.stdout

    patiently(told)


def _two_primaries(pair: Pair) -> None:
    """Pod 1 was promoted by hand, against the record; each has a row that the other lacks."""
    pair.led_by(0)
    patiently(lambda: _has_row(pair))
    assert pair.ask(1, "SELECT pg_promote()") == "t"
    for ordinal in (0, 1):
        row = f"'of pod {ordinal}'"
        assert _in_ado(pair, ordinal, f"INSERT INTO kept SELECT {row}") == ""
    status = pair.ops("status")
    assert status.returncode == 3
    assert f"Both pods are primary! `ado-ops postgres fence {pod(1)}` now" in status.stdout
    assert led(pair) == (0, 1)


def _in_ado(pair: Pair, ordinal: int, sql: str) -> str:
    """What the server of a pod answers to its superuser in the applications' database."""
    psql = f'psql --no-psqlrc -qAt --host "$SOCKET" -U postgres ado -c "{sql}"'
    return pair.deployment.shell(psql, pod(ordinal)).strip()


def _has_row(pair: Pair) -> None:
    assert _in_ado(pair, 1, "SELECT value FROM kept") == "kept-row"


def _serves(pair: Pair, ordinal: int) -> None:
    assert ready_container(pair.deployment, pod(ordinal))
    assert pair.ask(ordinal, "SELECT pg_is_in_recovery()") == "f"
