"""Faults of PostgreSQL that `make test` shows once, in the variants that it leaves out."""

from __future__ import annotations

import shutil

from tests.cluster.pair import Pair, pod
from tests.cluster.test_postgres_reliability import copied, fill, kill_while_it_copies
from tests.cluster.test_postgres_takeover import give_up_what_was_not_received


def test_what_a_primary_wrote_after_its_checkpoint_is_given_up_on_purpose(pair: Pair) -> None:
    give_up_what_was_not_received(pair, promoted_just_now=False)


def test_a_standby_without_data_killed_while_it_copies_begins_anew(pair: Pair) -> None:
    fill(pair)
    standby = 1 - pair.primary
    pair.did("fence", pod(standby))
    shutil.rmtree(pair.volume(standby) / "pgdata")
    pair.did("unfence", pod(standby))
    kill_while_it_copies(pair, standby)
    copied(pair, standby)
    pair.ask_as_ado("DROP TABLE large")
