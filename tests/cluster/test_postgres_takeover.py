"""PostgreSQL's standby becomes the primary: on purpose, half-way, and against a former one."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from tests.cluster.data import query
from tests.cluster.deployment import NAMESPACE
from tests.cluster.pair import Pair, pod
from tests.cluster.reliability import record
from tests.cluster.writing import patiently

LONGEST_OUTAGE = 60.0
"""Seconds that a writer may wait for a promotion; about 4 where nothing else runs."""
WAL_RECEIVER = r"^postgres: walreceiver"
WAL_SENDER = r"^postgres: walsender"
CHECKPOINTED = """
SELECT timeline_id = ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
FROM pg_control_checkpoint()"""
"""Whether the timeline that is written now has had a checkpoint."""
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


def test_promotion_under_a_writer_that_never_stops(pair: Pair) -> None:
    # Beside WAL files that were made ahead, as a checkpoint makes them: they say nothing of what
    # was written. Which one is found first is the file system's choice, so many.
    timeline = pair.ask(pair.primary, "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 16)")
    made = " ".join(f"$PGDATA/pg_wal/{timeline}{number:08X}" for number in range(64, 128))
    assert pair.deployment.shell(f"truncate -s 16M {made}", pod(pair.primary)) == ""
    with pair.writer() as told:
        done = pair.did("promote", pod(1 - pair.primary))
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


def test_a_former_primary_serves_no_more_also_when_it_starts_first(pair: Pair) -> None:
    former, new = pair.primary, 1 - pair.primary
    pair.did("promote", pod(new))
    pair.ask_as_ado("INSERT INTO kept VALUES ('newer')")
    pair.did("unfence", pod(former))
    pair.says(former, f"waiting: this was the primary, and now {pod(new)} is")
    assert "Is the server running locally" in pair.ask(former, "SELECT 1")
    pair.did("fence", pod(new))
    pair.delete_pods(former)
    pair.says(former, "waiting: this was the primary")
    pair.did("unfence", pod(new))
    patiently(lambda: _reads(pair, "newer"))
    pair.did("rejoin", pod(former))
    pair.healthy()
    assert "newer" in pair.ask_as_ado("SELECT value FROM kept")


def test_after_fewer_connections_the_standby_serves_and_takes_over(pair: Pair) -> None:
    pair.led_by(0)
    pair.deployment.up({"ado:postgres": {"maxConnections": 120}})
    pair.deployment.up()
    assert pair.ask(0, "SHOW max_connections") == "100"
    assert "kept-row" in query(
        pair.deployment, pair.password, "SELECT value FROM kept", "postgresql-ro"
    )
    pair.fail_over()


def test_a_standby_with_too_few_connections_is_not_promoted_until_it_is_started_anew(
    pair: Pair,
) -> None:
    former, new = pair.primary, 1 - pair.primary
    more = int(pair.ask(new, "SHOW max_connections")) + 10
    assert pair.ask(former, f"ALTER SYSTEM SET max_connections = {more}") == ""
    pair.delete_pods(former)
    remedy = f"`kubectl -n {NAMESPACE} delete pod {pod(new)}` starts it anew"

    def told() -> None:
        assert remedy in "\n".join(pair.findings())

    patiently(told)
    refused = pair.ops("promote", pod(new))
    assert refused.returncode == 1
    assert remedy in refused.stderr
    assert pair.roles() == {pod(former): "f", pod(new): "t"}
    assert pair.ask(former, "ALTER SYSTEM RESET max_connections") == ""
    pair.delete_pods(new)
    pair.healthy()
    pair.fail_over()


def test_what_the_standby_never_got_is_given_up_on_purpose_and_rewound(pair: Pair) -> None:
    # By a primary that was promoted just now, which is the harder case; in `make soak` by another.
    give_up_what_was_not_received(pair, promoted_just_now=True)


def give_up_what_was_not_received(pair: Pair, *, promoted_just_now: bool) -> None:
    """A primary dies with more than its standby has got, which is promoted all the same."""
    if promoted_just_now:
        _fail_over_without_a_checkpoint(pair)
    else:
        pair.ask(pair.primary, "CHECKPOINT")
    former, new = pair.primary, 1 - pair.primary
    pair.record(fenced=str(former))
    pair.deployment.kubectl("annotate", "pod", "-n", NAMESPACE, pod(former), "test/told=now")
    patiently(lambda: _is_told(pair, former, "fenced", str(former)))
    # Neither sends, nor connects anew when it has heard nothing for ten seconds.
    with pair.frozen(former, WAL_SENDER), pair.frozen(new, WAL_RECEIVER):
        assert pair.ask_as_ado("INSERT INTO kept SELECT 'not received'") == ""
        written = pair.ask(former, "SELECT pg_current_wal_flush_lsn()")
        assert re.fullmatch(POSITION, written)
        received = pair.ask(new, "SELECT pg_last_wal_receive_lsn()")
        assert re.fullmatch(POSITION, received)
        assert received != written
        assert pair.ask(former, CHECKPOINTED) == ("f" if promoted_just_now else "t")
        pair.kill(former)
        # Thawed before it has died with the others, the sender would send after all.
        pair.says(former, f"waiting: {pod(former)} is fenced")
    refused = pair.ops("promote", pod(new))
    assert refused.returncode == 1, f"written up to {written}: {refused.stdout}"
    assert f"never reached {pod(new)}" in refused.stderr
    assert pair.ask(new, "SELECT pg_is_in_recovery()") == "t"
    pair.did("promote", pod(new), "--accept-loss")
    pair.did("rejoin", pod(former))
    pair.healthy()
    assert pair.kept()  # and nothing else
    pair.ask_as_ado("DROP TABLE IF EXISTS large")


def test_a_promotion_cut_off_after_each_of_its_steps_is_finished_by_the_same_command(
    pair: Pair,
) -> None:
    former, new = pair.primary, 1 - pair.primary
    left = [step.format(former=pod(former), new=pod(new)) for step in STEPS]
    cut: list[str] = []
    while step := _cut_off(pair, new, left):
        left.remove(step)
        cut.append(step)
        assert list(pair.roles().values()).count("f") <= 1, cut
    assert len(cut) > len(STEPS) / 2  # who is killed too late has taken the next step too
    pair.did("rejoin", pod(former))
    pair.healthy()
    assert pair.primary == new
    assert pair.kept()


def _cut_off(pair: Pair, target: int, steps: Sequence[str]) -> str | None:
    """Kills a promotion once it says one of these steps, and returns that; None when it ended."""
    with pair.deployment.started_ops("postgres", "promote", pod(target)) as command:
        assert command.stdout
        assert command.stderr
        for line in command.stdout:
            if said := next((step for step in steps if step in line), None):
                command.send_signal(signal.SIGKILL)
                return said
        told = command.stderr.read()
    assert command.returncode == 0, told
    return None


def _fail_over_without_a_checkpoint(pair: Pair) -> None:
    """So much is to be written that the new primary's first checkpoint takes minutes."""
    large = "CREATE TABLE large AS SELECT repeat('x', 1000) FROM generate_series(1, 15000)"
    assert pair.ask_as_ado(large) == ""
    pair.fail_over()


def _is_told(pair: Pair, ordinal: int, key: str, value: str) -> None:
    told = pair.deployment.shell(f'cat "$STATE/{key}"', pod(ordinal))
    assert told.strip() == value


def _reads(pair: Pair, row: str) -> None:
    assert row in pair.ask_as_ado("SELECT value FROM kept")
