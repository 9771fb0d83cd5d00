"""PostgreSQL when something dies, is lost, or comes back at the wrong moment.

Named after the scenario. Each test leaves one pod the primary and the other one following,
whichever. What was measured goes to build/reliability.json.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

from tests.cluster.data import database_password, query
from tests.cluster.deployment import NAMESPACE
from tests.cluster.pair import SLOT, Pair, as_superuser, pod
from tests.cluster.reliability import record
from tests.cluster.writing import patiently

INITIALISED = {"initialised": "true"}
SYSTEM = "SELECT system_identifier FROM pg_control_system()"


def test_a_fresh_pair_has_a_record_and_no_finding(pair: Pair) -> None:
    pair.led_by(0)
    state = pair.deployment.objects()["ConfigMap", "postgresql-state"]
    # Whoever has promoted one, and then this one again, has left that it is.
    assert {"primary": "0"} | state["data"] == {"primary": "0"} | INITIALISED
    done = pair.ops("status")
    assert done.returncode == 0, done.stdout
    assert pair.ask(0, SYSTEM) == pair.ask(1, SYSTEM)


def test_what_has_lost_its_parent_and_ends_badly_is_not_the_servers(pair: Pair) -> None:
    """As what a probe leaves that took too long: a server that is pid 1 would restart all."""
    orphan = "(sh -c 'sleep 1; kill -9 $$' >/dev/null 2>&1 &)"
    session = as_superuser("SELECT 'whole' FROM pg_sleep(3)")
    for ordinal in (0, 1):
        said = pair.deployment.shell(f"{orphan}; {session}", pod(ordinal)).strip()
        assert said == "whole", pair.log(ordinal)


def test_killed_at_once_each_server_comes_back_as_what_it_was_with_all_that_was_acknowledged(
    pair: Pair,
) -> None:
    system, primary = pair.ask(0, SYSTEM), pair.primary
    volumes = [pair.volume(ordinal) / "pgdata" for ordinal in (0, 1)]
    with pair.writer() as told:
        told.goes_on()
        for directory in volumes:
            directory.chmod(0o770)  # as a volume's group may have made it; refused by the server
        for ordinal in (0, 1):
            pair.kill(ordinal)
        for ordinal in (0, 1):
            pair.says(ordinal, "database system was interrupted")
        told.goes_on()
    pair.healthy()
    assert pair.primary == primary
    assert pair.lost(told) == set()
    assert pair.kept()
    for ordinal, directory in enumerate(volumes):
        assert pair.ask(ordinal, SYSTEM) == system
        assert "making an empty database" not in pair.log(ordinal)
        assert directory.stat().st_mode & 0o777 == 0o700


def test_an_empty_volume_of_the_primary_is_never_made_a_database_but_filled_from_the_next(
    pair: Pair,
) -> None:
    pair.led_by(0)  # pod 1 would never do so anyway
    _lose_volume(pair, 0)
    pair.says(0, "waiting: the primary's volume is empty")
    assert pair.ask(1, "SELECT pg_is_in_recovery()") == "t"
    refused = query(pair.deployment, pair.password, "DELETE FROM kept", host="postgresql-ro")
    assert "read-only transaction" in refused
    pair.did("promote", "postgresql-1", "--accept-loss")
    pair.did("rejoin", "postgresql-0")
    pair.says(0, "copying postgresql-1")
    pair.healthy()
    assert "making an empty database" not in pair.log(0)
    assert pair.kept()


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
    assert pair.kept()


def test_a_standby_away_for_longer_than_wal_is_kept_is_copied_anew_also_when_killed_meanwhile(
    pair: Pair,
) -> None:
    primary, standby = pair.primary, 1 - pair.primary
    fill(pair)
    pair.did("fence", pod(standby))
    pair.give_up_wal()
    held = pair.ask(primary, "SELECT sum(size) FROM pg_ls_waldir()")
    record("PostgreSQL: standby away past the slot's limit", wal_held_bytes=int(held))
    assert int(held) < 512 * 2**20
    pair.did("unfence", pod(standby))
    kill_while_it_copies(pair, standby)
    # Whoever goes on with a copy that was cut off does not say it again.
    pair.says(standby, "the primary has given up the WAL that is missing here", "--previous")
    copied(pair, standby)
    # And at the operator's word.
    pair.did("rejoin", "--reclone", pod(standby))
    pair.says(standby, "copying postgresql-")
    copied(pair, standby)
    pair.ask_as_ado("DROP TABLE large")


def fill(pair: Pair) -> None:
    """So much is in the database that copying it takes a while."""
    large = "CREATE TABLE large AS SELECT repeat('x', 1000) FROM generate_series(1, 300000)"
    assert pair.ask_as_ado(large) == ""


def kill_while_it_copies(pair: Pair, standby: int) -> None:
    """Waits until a standby has a part of a copy, and ends its container."""
    half = pair.volume(standby) / "pgdata.new" / "PG_VERSION"
    patiently(lambda: _exists(half))
    pid = pair.process(standby, r"^/bin/sh /etc/ado/config/start.sh")
    subprocess.run(["kill", "-KILL", str(pid)], check=True)


def copied(pair: Pair, standby: int) -> None:
    """The standby follows, and nothing is left of its copying."""
    pair.healthy()
    assert not (pair.volume(standby) / "pgdata.new").exists()
    assert pair.ask(standby, "SELECT count(*) FROM pg_stat_wal_receiver") == "1"
    assert pair.ask(1 - standby, SLOT) == "reserved"


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
    assert pair.kept()
    pair.deployment.wait_until_ready()
    # The stack was not told: it is refused, and the database goes on.
    pair.deployment.write()
    outcome = pair.deployment.engine().up()
    assert not outcome.succeeded
    assert any("ado-ops" in error for error in outcome.errors), outcome.errors
    assert database_password(pair.deployment) == pair.password
    assert pair.kept()
    # Once the database has what the stack says, there is nothing to be refused.
    assert former not in pair.did("rotate", "--stdin", given=f"{former}\n")
    pair.password = former
    pair.deployment.reset()
    pair.healthy()
    for secret in ("postgresql", "ado-secrets"):
        _disown(pair, secret)


def _disown(pair: Pair, secret: str) -> None:
    """The Secret is the stack's alone again, which other tests give other passwords."""
    place = ("secret", secret, "-n", NAMESPACE)
    found = pair.deployment.kubectl("get", *place, "--show-managed-fields", "-o", "json")
    metadata = json.loads(found)["metadata"]
    kept = [each for each in metadata["managedFields"] if each["manager"] != "ado-ops"]
    assert len(kept) < len(metadata["managedFields"])
    changed = {"resourceVersion": metadata["resourceVersion"], "managedFields": kept}
    patch = json.dumps({"metadata": changed})
    pair.deployment.kubectl("patch", *place, "--type=merge", "--patch", patch)


def _lose_volume(pair: Pair, ordinal: int) -> None:
    """A pod's volume is empty from its next start on, which is now."""
    pair.did("fence", pod(ordinal))
    pair.empty_volume(ordinal)
    pair.did("unfence", pod(ordinal))


def _exists(path: Path) -> None:
    assert path.exists()
