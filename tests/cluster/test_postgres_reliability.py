"""PostgreSQL when something dies, is lost, or comes back at the wrong moment.

Named after the scenario. One deployment for all: each test leaves one pod the primary and the other
one following, whichever. What was measured goes to build/reliability.json.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.paths import Sandbox
from tests.cluster.data import database_password, query
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.pair import Pair
from tests.cluster.reliability import record
from tests.cluster.writing import patiently

INITIALISED = {"initialised": "true"}
SLOT = "SELECT wal_status FROM pg_replication_slots"
SYSTEM = "SELECT system_identifier FROM pg_control_system()"
LONGEST_OUTAGE = 60.0
"""Seconds that a writer may wait for a promotion; about 4 where nothing else runs."""
WAL_RECEIVER = r"^postgres: walreceiver"
WAL_SENDER = r"^postgres: walsender"
POSITION = r"[0-9A-F]+/[0-9A-F]+"
STEPS = (
    "is fenced from its next start on",
    "stopping {former}",
    "{new} lacks",
    "says now that {new} is the primary",
    "{new} is promoted",
    "Service postgresql leads to",
)
"""What `promote` says once it has taken a step."""


@pytest.fixture(scope="module")
def deployed(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The dev stack as committed; so it is left too: pod 0 is the primary."""
    deployment = Deployment(cluster, tmp_path_factory.mktemp("pair"))
    deployment.reset()
    yield deployment
    Pair(deployment).led_by(0)


@pytest.fixture
def pair(deployed: Deployment) -> Iterator[Pair]:
    """Both pods as they should be, with a row in table `kept`; and so again afterwards."""
    found = Pair(deployed)
    found.ask_as_ado("DROP TABLE IF EXISTS kept")
    found.ask_as_ado("CREATE TABLE kept AS SELECT 'kept-row' AS value")
    yield found
    found.mend()


def _name(ordinal: int) -> str:
    return f"postgresql-{ordinal}"


def _kept(pair: Pair) -> bool:
    return pair.ask_as_ado("SELECT value FROM kept") == "kept-row"


def test_a_fresh_pair_has_a_record_and_no_finding(pair: Pair) -> None:
    state = pair.deployment.objects()["ConfigMap", "postgresql-state"]
    assert state["data"] == INITIALISED
    done = pair.ops("status")
    assert done.returncode == 0, done.stdout
    assert pair.ask(0, SYSTEM) == pair.ask(1, SYSTEM)


@pytest.mark.parametrize("role", ["primary", "standby"])
def test_a_killed_server_comes_back_as_what_it_was(pair: Pair, role: str) -> None:
    ordinal = pair.primary if role == "primary" else 1 - pair.primary
    system = pair.ask(0, SYSTEM)
    pair.kill(ordinal)
    pair.says(ordinal, "database system was interrupted")
    pair.healthy()
    assert pair.ask(0, SYSTEM) == system
    assert "making an empty database" not in pair.log(ordinal)
    assert _kept(pair)


def test_while_the_primary_is_away_the_standby_stays_read_only(pair: Pair) -> None:
    primary = pair.primary
    pair.did("fence", _name(primary))
    assert pair.ask(1 - primary, "SELECT pg_is_in_recovery()") == "t"
    refused = query(pair.deployment, pair.password, "DELETE FROM kept", host="postgresql-ro")
    assert "read-only transaction" in refused
    pair.did("unfence", _name(primary))
    pair.healthy()


def test_promotion_under_a_writer_that_never_stops(pair: Pair) -> None:
    with pair.writer() as told:
        done = pair.did("promote", _name(1 - pair.primary))
        told.goes_on()
    lost = pair.lost(told)
    record(
        "PostgreSQL: promotion under a writer",
        rto_seconds=told.longest_gap,
        rows_acknowledged=len(told.rows),
        rows_lost=len(lost),
    )
    assert "Lost (RPO): 0 bytes" in done
    assert lost == set()
    assert told.longest_gap < LONGEST_OUTAGE


def test_a_former_primary_refuses_to_serve_until_it_rejoins(pair: Pair) -> None:
    former, new = pair.primary, 1 - pair.primary
    pair.did("promote", _name(new))
    pair.did("unfence", _name(former))
    pair.says(former, f"waiting: this was the primary, and now {_name(new)} is")
    assert "Is the server running locally" in pair.ask(former, "SELECT 1")
    pair.did("rejoin", _name(former))
    pair.healthy()


def test_both_stopped_and_the_old_primary_first_keeps_the_newer_timeline(pair: Pair) -> None:
    former, new = pair.primary, 1 - pair.primary
    pair.did("promote", _name(new))
    pair.ask_as_ado("INSERT INTO kept VALUES ('newer')")
    pair.did("unfence", _name(former))
    pair.did("fence", _name(new))
    pair.delete_pods(former)
    pair.says(former, "waiting: this was the primary")
    pair.did("unfence", _name(new))
    patiently(lambda: _reads(pair, "newer"))
    pair.did("rejoin", _name(former))
    pair.healthy()
    assert "newer" in pair.ask_as_ado("SELECT value FROM kept")


def test_an_empty_volume_of_pod_0_is_filled_from_the_primary(pair: Pair) -> None:
    pair.led_by(1)
    _lose_volume(pair, 0)
    pair.says(0, "copying postgresql-1")
    pair.healthy()
    assert "making an empty database" not in pair.log(0)
    assert _kept(pair)


def test_an_empty_volume_of_the_primary_is_never_made_a_database(pair: Pair) -> None:
    pair.led_by(0)  # pod 1 would never do so anyway
    _lose_volume(pair, 0)
    pair.says(0, "waiting: the primary's volume is empty")
    pair.did("promote", "postgresql-1", "--accept-loss")
    pair.did("rejoin", "postgresql-0")
    pair.healthy()
    assert _kept(pair)


def test_a_lost_record_is_refused_and_said_how_to_mend(pair: Pair) -> None:
    pair.record(initialised=None)
    pair.delete_pods(0, 1)
    for ordinal in (0, 1):
        pair.says(ordinal, "postgresql-state says nothing, and this volume was in use")
    found = pair.ops("status")
    assert found.returncode == 3
    assert "Lost record" in found.stdout
    pair.record(initialised="true")
    pair.healthy()
    assert _kept(pair)


def test_a_primary_with_more_than_the_standby_got_is_given_up_on_purpose_and_rewound(
    pair: Pair,
) -> None:
    former, new = pair.primary, 1 - pair.primary
    pair.record(fenced=str(former))
    pair.deployment.kubectl("annotate", "pod", "-n", NAMESPACE, _name(former), "test/told=now")
    patiently(lambda: _is_told(pair, former, "fenced", str(former)))
    # Neither sends, nor connects anew when it has heard nothing for ten seconds.
    with pair.frozen(former, WAL_SENDER), pair.frozen(new, WAL_RECEIVER):
        assert pair.ask_as_ado("INSERT INTO kept SELECT 'not received'") == ""
        written = pair.ask(former, "SELECT pg_current_wal_flush_lsn()")
        assert re.fullmatch(POSITION, written)
        received = pair.ask(new, "SELECT pg_last_wal_receive_lsn()")
        assert re.fullmatch(POSITION, received)
        assert received != written
        pair.kill(former)
        # Thawed before it has died with the others, the sender would send after all.
        pair.says(former, f"waiting: {_name(former)} is fenced")
    refused = pair.ops("promote", _name(new))
    assert refused.returncode == 1, f"written up to {written}: {refused.stdout}"
    assert f"never reached {_name(new)}" in refused.stderr
    assert pair.ask(new, "SELECT pg_is_in_recovery()") == "t"
    pair.did("promote", _name(new), "--accept-loss")
    pair.did("rejoin", _name(former))
    pair.healthy()
    assert _kept(pair)  # and nothing else


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["unfence"], "the primary has given up the WAL that is missing here"),
        (["rejoin", "--reclone"], "copying postgresql-"),
    ],
)
def test_a_standby_away_for_longer_than_wal_is_kept_is_copied_anew(
    pair: Pair, command: list[str], said: str
) -> None:
    primary, standby = pair.primary, 1 - pair.primary
    pair.did("fence", _name(standby))
    _lose_wal(pair)
    held = pair.ask(primary, "SELECT sum(size) FROM pg_ls_waldir()")
    record("PostgreSQL: standby away past the slot's limit", wal_held_bytes=int(held))
    assert int(held) < 512 * 2**20
    pair.did(*command, _name(standby))
    pair.says(standby, said)
    pair.healthy()
    assert pair.ask(primary, SLOT) == "reserved"


@pytest.mark.parametrize("lost", ["data", "WAL"])
def test_a_standby_killed_while_it_copies_begins_anew(pair: Pair, lost: str) -> None:
    fill = "CREATE TABLE large AS SELECT repeat('x', 1000) FROM generate_series(1, 300000)"
    pair.ask_as_ado(fill)
    standby = 1 - pair.primary
    pair.did("fence", _name(standby))
    volume = pair.volume(standby)
    if lost == "WAL":
        _lose_wal(pair)
    else:
        shutil.rmtree(volume / "pgdata")
    pair.did("unfence", _name(standby))
    half = volume / "pgdata.new" / "PG_VERSION"
    patiently(lambda: _exists(half))
    pid = pair.process(standby, r"^/bin/sh /etc/ado/config/start.sh")
    subprocess.run(["kill", "-KILL", str(pid)], check=True)
    pair.healthy()
    assert not half.exists()
    assert pair.ask(standby, "SELECT count(*) FROM pg_stat_wal_receiver") == "1"
    pair.ask_as_ado("DROP TABLE large")


def test_replication_is_for_its_own_role_with_its_own_password(pair: Pair) -> None:
    connect = 'psql "host=postgresql user={} dbname=x replication=true" -wc IDENTIFY_SYSTEM'
    no_password = pair.deployment.shell(connect.format("replicator"), "postgresql-1")
    assert "no password supplied" in no_password
    wrong = f"PGPASSWORD=wrong {connect.format('replicator')}"
    assert "password authentication failed" in pair.deployment.shell(wrong, "postgresql-1")
    other = f"PGPASSWORD=$(cat) {connect.format('ado')}"
    refused = pair.deployment.shell(other, "postgresql-1", given=pair.password)
    assert "pg_hba.conf rejects replication connection" in refused


def test_no_password_is_below_the_data(pair: Pair) -> None:
    for name in ("password", "replication-password"):
        password = pair.deployment.shell(f'cat "$SECRETS/{name}"', "postgresql-0")
        assert len(password) > 20
        for ordinal in (0, 1):
            volume = pair.volume(ordinal)
            assert (volume / "pgdata" / "PG_VERSION").exists()
            held = subprocess.run(
                ["grep", "-rlF", password, str(volume)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert held.stdout == ""


def test_a_password_rotated_under_load_is_refused_no_longer_than_the_rollout(pair: Pair) -> None:
    pair.led_by(0)  # as the stack has it, which is deployed below
    former = pair.password
    with pair.writer() as told:  # its connection stays open, and goes on
        began = time.monotonic()
        printed = pair.did("rotate")
        rollout = time.monotonic() - began
        told.goes_on()
    assert "rolling ado-api-gateway" in printed
    assert "rolling ado-orchestrator" in printed
    refused = float(re.findall(r"for at most ([0-9.]+) s", printed)[0])
    record("PostgreSQL: password rotated under a writer", refused_seconds=refused)
    assert refused <= rollout
    assert former not in printed
    assert "password authentication failed" in query(pair.deployment, former)
    pair.password = database_password(pair.deployment)
    assert pair.password != former
    assert pair.lost(told) == set()
    assert _kept(pair)
    pair.deployment.wait_until_ready()
    # The stack was not told: it is refused, and the database goes on.
    pair.deployment.write()
    outcome = pair.deployment.engine().up()
    assert not outcome.succeeded
    assert any("ado-ops" in error for error in outcome.errors), outcome.errors
    assert database_password(pair.deployment) == pair.password
    assert _kept(pair)
    # Once the database has what the stack says, there is nothing to be refused.
    assert former not in pair.did("rotate", "--stdin", given=f"{former}\n")
    pair.password = former
    pair.deployment.reset()
    pair.healthy()
    # Made anew the Secrets are the stack's alone, which other tests give other passwords.
    pair.deployment.kubectl("delete", "secret", "-n", NAMESPACE, "postgresql", "ado-secrets")
    pair.deployment.reset()


def test_a_wrong_mode_of_the_directory_is_mended(pair: Pair) -> None:
    ordinal = pair.primary
    data = pair.volume(ordinal) / "pgdata"
    data.chmod(0o770)
    pair.delete_pods(ordinal)
    pair.healthy()
    assert data.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("step", range(len(STEPS)))
def test_a_promotion_cut_off_after_a_step_is_finished_by_the_same_command(
    pair: Pair, step: int
) -> None:
    former, new = pair.primary, 1 - pair.primary
    told = STEPS[step].format(former=_name(former), new=_name(new))
    with pair.deployment.started_ops("postgres", "promote", _name(new)) as command:
        assert command.stdout
        assert any(told in line for line in command.stdout)
        command.send_signal(signal.SIGKILL)
    assert list(pair.roles().values()).count("f") <= 1
    pair.did("promote", _name(new))
    pair.did("rejoin", _name(former))
    pair.healthy()
    assert pair.primary == new
    assert _kept(pair)


def test_a_stack_that_names_another_primary_is_refused_before_anything_is_changed(
    pair: Pair,
) -> None:
    pair.led_by(1)
    refused = pair.deployment.command("up")
    assert refused.returncode == 1
    assert "primaryOrdinal is 0" in refused.stderr
    assert "postgresql-1" in refused.stderr
    # And where nobody asks first, the Job does: any change of PostgreSQL's settings runs it.
    pair.deployment.write({"ado:postgres": {"maxConnections": 101}})
    outcome = pair.deployment.engine().up()
    assert not outcome.succeeded
    assert any("postgresql-check" in error for error in outcome.errors), outcome.errors
    assert pair.ask(1, "SHOW max_connections") == "100"
    pair.deployment.up({"ado:postgres": {"primaryOrdinal": 1}})
    assert _kept(pair)
    pair.fail_over()
    pair.deployment.reset()


def _lose_wal(pair: Pair) -> None:
    """The primary gives up WAL that its fenced standby has not got."""
    for _ in range(24):  # segments of 16 MiB; 256 MiB are kept for the slot
        fill = "SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'filled', 'x')"
        pair.ask(pair.primary, fill)
    pair.ask(pair.primary, "CHECKPOINT")
    assert pair.ask(pair.primary, SLOT) == "lost"


def _lose_volume(pair: Pair, ordinal: int) -> None:
    """A pod's volume is empty from its next start on, which is now."""
    pair.did("fence", _name(ordinal))
    volume = pair.volume(ordinal)
    for path in volume.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    pair.did("unfence", _name(ordinal))


def _is_told(pair: Pair, ordinal: int, key: str, value: str) -> None:
    told = pair.deployment.shell(f'cat "$STATE/{key}"', f"postgresql-{ordinal}")
    assert told.strip() == value


def _reads(pair: Pair, row: str) -> None:
    assert row in pair.ask_as_ado("SELECT value FROM kept")


def _exists(path: Path) -> None:
    assert path.exists()
