"""The operator's commands on PostgreSQL, against a cluster that is played by a small class."""

from __future__ import annotations

import base64
import hmac
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from ado_infra.ops import cli
from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Kept
from ado_infra.ops.postgres import (
    commands,
    fencing,
    pair,
    promotion,
    rejoining,
    report,
    rotation,
    writers,
)
from ado_infra.ops.postgres.pair import Member, Record, lacks_wal
from ado_infra.ops.target import Target
from tests.support.operated import Platform, Rotated, model, reader
from tests.support.operated_pair import AHEAD, PRIMARY, SERVICES, STANDBY, Cluster, Killed

NAMESPACE = "ado-system"
BEGUN = Record(initialised=True, primary=0, fenced=frozenset())


@pytest.fixture(autouse=True)
def nobody_else_and_no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """One operator, and pods that do at once whatever they do."""
    monkeypatch.setattr(commands, "alone", lambda *_: nullcontext())
    monkeypatch.setattr(fencing, "_RESTART", 0)
    monkeypatch.setattr(fencing, "_SUCCESSOR", 0)
    monkeypatch.setattr(promotion, "_REPLAY", 0)
    monkeypatch.setattr(rejoining, "SEEN", 0)
    monkeypatch.setattr(rejoining, "FOLLOW", 0)


def _promote(cluster: Cluster, **options: Any) -> promotion.Promotion:
    return promotion.promote(cluster, 1, lambda _: None, **options)  # pyright: ignore[reportArgumentType]


def _rejoin(cluster: Cluster, ordinal: int, **options: Any) -> bool:
    return rejoining.rejoin(cluster, ordinal, lambda _: None, **options)  # pyright: ignore[reportArgumentType]


class TestPromote:
    def test_the_old_primary_is_fenced_and_ended_before_the_new_one_begins(self) -> None:
        cluster = Cluster()
        done = _promote(cluster)
        assert cluster.changes == [
            "postgresql-state: {'fenced': '0'}",
            "delete postgresql-0",
            "postgresql-state: {'primary': '1'}",
            "promote postgresql-1",
            "postgresql: {'statefulset.kubernetes.io/pod-name': 'postgresql-1'}",
            "postgresql-ro: {'statefulset.kubernetes.io/pod-name': 'postgresql-0'}",
        ]
        assert (done.primary, done.lost) == ("postgresql-1", 0)
        assert cluster.primaries() == [1]
        assert cluster.members[1].slot == "reserved"

    @pytest.mark.parametrize("made", range(8))
    def test_interrupted_after_any_step_the_same_command_goes_on(self, made: int) -> None:
        straight, cluster = Cluster(), Cluster()
        _promote(straight)
        cluster.interrupt_after = made
        with pytest.raises(Killed):
            _promote(cluster)
        cluster.interrupt_after = None
        _promote(cluster)
        # A pod may be stopped once more; nothing else is done twice.
        assert list(dict.fromkeys(cluster.changes)) == straight.changes
        assert (cluster.data, cluster.services) == (straight.data, straight.services)
        assert cluster.members == straight.members

    def test_run_again_it_changes_nothing(self) -> None:
        cluster = Cluster()
        _promote(cluster)
        before = list(cluster.changes)
        assert _promote(cluster).seconds == 0
        assert cluster.changes == before

    def test_what_was_not_received_is_counted_and_given_up_only_on_purpose(self) -> None:
        cluster = Cluster(replace(PRIMARY, end=1500), STANDBY)
        with pytest.raises(
            OpsError,
            match=r"500 bytes of WAL .*`ado-ops postgres unfence postgresql-0`.*accept-loss",
        ):
            _promote(cluster)
        assert cluster.primaries() == []
        assert "primary" not in cluster.data
        assert _promote(cluster, accept_loss=True).lost == 500

    def test_a_former_primary_whose_wal_cannot_be_read_is_given_up_only_on_purpose(self) -> None:
        damaged = replace(PRIMARY, end=None, unread="could not read file")
        cluster = Cluster(damaged, STANDBY)
        with pytest.raises(OpsError, match=r"Nobody can tell .*could not read file.*accept-loss"):
            _promote(cluster)
        assert cluster.primaries() == []
        assert _promote(cluster, accept_loss=True).lost is None

    def test_a_node_that_does_not_answer_needs_the_operators_word(self) -> None:
        cluster = Cluster()
        cluster.nodes_off = {"n1"}
        typed = "`ado-ops postgres promote postgresql-1 --node-is-off` goes on"
        with pytest.raises(OpsError, match=rf"node n1 does not answer.*{typed}"):
            _promote(cluster)
        assert "promote postgresql-1" not in cluster.changes
        done = _promote(cluster, node_is_off=True)
        assert "delete postgresql-0 by force" in cluster.changes
        assert done.lost is None
        assert cluster.data["primary"] == "1"

    def test_a_pod_whose_script_does_not_say_that_it_waits_may_still_have_a_server(self) -> None:
        cluster = Cluster()
        cluster.pods.silent_scripts = {0}  # it waits for a container that was deleted by force
        for node_is_off in (False, True):
            with pytest.raises(OpsError, match="does not say that it waits"):
                _promote(cluster, node_is_off=node_is_off)
        assert "promote postgresql-1" not in cluster.changes

    def test_a_rolled_back_primary_may_have_written_what_positions_do_not_show(self) -> None:
        cluster = Cluster(PRIMARY, AHEAD)
        with pytest.raises(OpsError, match=r"was rolled back.*With --accept-loss"):
            _promote(cluster)
        assert _promote(cluster, accept_loss=True).lost is None

    def test_positions_on_different_timelines_are_not_compared(self) -> None:
        cluster = Cluster(replace(PRIMARY, timeline=2, end=1200), replace(STANDBY, end=1500))
        with pytest.raises(OpsError, match=r"timeline 2 never reached postgresql-1.*accept-loss"):
            _promote(cluster)
        assert _promote(cluster, accept_loss=True).lost is None

    def test_a_pod_without_a_server_cannot_become_the_primary(self) -> None:
        cluster = Cluster(PRIMARY, replace(STANDBY, server=None, disk="empty"))
        with pytest.raises(OpsError, match=r"postgresql-1 cannot become the primary.*empty"):
            _promote(cluster)
        assert cluster.changes == []

    def test_one_that_allows_too_few_connections_is_refused(self) -> None:
        cluster = Cluster(PRIMARY, replace(STANDBY, blocked=True))
        with pytest.raises(OpsError, match="kubectl -n ado-system delete pod postgresql-1"):
            _promote(cluster)
        assert cluster.changes == []

    def test_one_that_comes_to_allow_too_few_meanwhile_is_refused_before_the_record(self) -> None:
        cluster = Cluster()

        def say(line: str) -> None:
            if line == "stopping postgresql-0":
                cluster.members[1] = replace(STANDBY, blocked=True)

        with pytest.raises(
            OpsError, match=r"delete pod postgresql-1.*`ado-ops postgres unfence postgresql-0`"
        ):
            promotion.promote(cluster, 1, say)  # pyright: ignore[reportArgumentType]
        assert "primary" not in cluster.data

    def test_a_former_primary_takes_over_again_when_its_successor_is_lost(self) -> None:
        # Both know where their WAL ends, on timelines that have nothing to do with each other.
        former = replace(STANDBY, server=None, disk="primary", end=1500)
        cluster = Cluster(replace(PRIMARY, server=None), former)
        with pytest.raises(OpsError, match=r"did not follow postgresql-0.*--accept-loss"):
            _promote(cluster)
        with pytest.raises(OpsError, match="did not follow"):
            _promote(cluster, node_is_off=True)
        assert _promote(cluster, accept_loss=True).lost is None
        assert cluster.data["primary"] == "1"
        assert cluster.primaries() == [1]

    def test_a_former_primary_is_refused_while_the_primary_serves(self) -> None:
        cluster = Cluster(PRIMARY, replace(STANDBY, server=None, disk="primary"))
        with pytest.raises(
            OpsError, match=r"older data than postgresql-0.*`ado-ops postgres rejoin postgresql-1`"
        ):
            _promote(cluster, accept_loss=True)
        assert cluster.changes == []

    def test_without_a_record_nothing_is_promoted(self) -> None:
        cluster = Cluster()
        cluster.data = {}
        with pytest.raises(OpsError, match="Lost record"):
            _promote(cluster)
        assert cluster.changes == []

    @pytest.mark.parametrize("server", [None, "standby", "primary"])
    def test_silent_loss_whoever_has_data_is_recorded_and_promoted(
        self, server: str | None
    ) -> None:
        """The record and pod 0's volume are lost; pod 1 waits with its data, or still serves."""
        lost = Member(ordinal=0, phase="Running", node="n1", disk="empty")
        kept = replace(STANDBY, server=server, streaming=False)
        cluster = Cluster(lost, replace(kept, disk="primary") if server == "primary" else kept)
        cluster.data = {}
        with pytest.raises(OpsError, match=r"Nobody can tell .*With --accept-loss"):
            _promote(cluster)
        assert "initialised" not in cluster.data
        assert _promote(cluster, accept_loss=True).lost is None
        assert cluster.data == {"initialised": "true", "primary": "1", "fenced": "0"}
        assert cluster.primaries() == [1]
        with pytest.raises(OpsError, match=r"postgresql-0 cannot become the primary.*empty"):
            promotion.promote(cluster, 0, print)  # pyright: ignore[reportArgumentType]

    def test_silent_loss_a_pod_without_data_is_never_recorded(self) -> None:
        lost = Member(ordinal=0, phase="Running", node="n1", disk="empty")
        cluster = Cluster(lost, replace(STANDBY, server=None, streaming=False))
        cluster.data = {}
        with pytest.raises(OpsError, match=r"postgresql-0 cannot become the primary.*empty"):
            promotion.promote(cluster, 0, print, accept_loss=True)  # pyright: ignore[reportArgumentType]
        assert cluster.data == {}

    def test_an_old_primary_that_was_unfenced_meanwhile_stays_the_only_one(self) -> None:
        cluster = Cluster()

        def say(line: str) -> None:
            if "lacks 0 bytes" in line:  # what `unfence` by somebody else does
                cluster.patch_config_map("postgresql-state", {"fenced": None})
                cluster.poke("postgresql-0")

        with pytest.raises(OpsError, match="somebody else"):
            promotion.promote(cluster, 1, say)  # pyright: ignore[reportArgumentType]
        assert cluster.primaries() == [0]
        assert "primary" not in cluster.data

    def test_a_fence_that_was_lifted_and_set_again_meanwhile_is_no_fence(self) -> None:
        cluster = Cluster()

        def say(line: str) -> None:
            if "lacks 0 bytes" in line:  # unfenced, written to, and the flag set by hand
                cluster.patch_config_map("postgresql-state", {"fenced": None})
                cluster.poke("postgresql-0")
                cluster.patch_config_map("postgresql-state", {"fenced": "0"})

        with pytest.raises(OpsError, match="somebody else"):
            promotion.promote(cluster, 1, say)  # pyright: ignore[reportArgumentType]
        assert cluster.primaries() == [0]
        assert "primary" not in cluster.data

    @pytest.mark.parametrize("deleted_by_others", [False, True])
    def test_a_pod_whose_object_goes_while_its_containers_run_needs_the_operators_word(
        self, *, deleted_by_others: bool
    ) -> None:
        # Its node was deleted, or the pod by force; the successor starts nowhere.
        cluster = Cluster()
        cluster.pods.torn_away = {0}
        cluster.pods.lost_volumes = {0}
        if deleted_by_others:
            cluster.delete_pod(cluster.pod("postgresql-0"))
            cluster.pods.unstarted = {0}
        with pytest.raises(OpsError, match=r"Nobody can tell whether postgresql-0 .*--node-is-off"):
            _promote(cluster, accept_loss=True)
        assert "promote postgresql-1" not in cluster.changes
        assert _promote(cluster, accept_loss=True, node_is_off=True).lost is None
        assert cluster.data["primary"] == "1"

    def test_a_pod_that_has_ended_and_does_not_start_again_has_no_server(self) -> None:
        cluster = Cluster()
        cluster.pods.lost_volumes = {0}
        told: list[str] = []
        done = promotion.promote(cluster, 1, told.append, accept_loss=True)  # pyright: ignore[reportArgumentType]
        assert done.lost is None
        assert any("at most" in line for line in told)
        assert "postgresql-0 has ended, and does not start: no volume" in told

    def test_who_may_not_see_nodes_promotes_all_the_same(self) -> None:
        cluster = Cluster()
        cluster.node_answers = lambda _: None  # pyright: ignore[reportAttributeAccessIssue]
        assert _promote(cluster).lost == 0

    @pytest.mark.parametrize("slip", [{"primary": "postgresql-1"}, {"fenced": "0 2"}])
    def test_a_record_that_names_no_pod_is_refused(self, slip: dict[str, str]) -> None:
        cluster = Cluster()
        cluster.data |= slip
        with pytest.raises(OpsError, match=r"names no pod.*Lost record"):
            _promote(cluster)
        assert cluster.changes == []


class TestRejoin:
    def test_a_former_primary_is_rewound_and_follows(self) -> None:
        cluster = Cluster()
        _promote(cluster)
        assert _rejoin(cluster, 0)
        assert "rewind postgresql-0" in cluster.changes
        assert "fenced" not in cluster.data
        assert cluster.members[0].streaming

    def test_one_that_follows_is_left_alone(self) -> None:
        cluster = Cluster()
        assert not _rejoin(cluster, 1)
        assert cluster.changes == []

    def test_one_that_follows_is_copied_anew_on_demand(self) -> None:
        cluster = Cluster()
        assert _rejoin(cluster, 1, reclone=True)
        assert "reclone postgresql-1" in cluster.changes
        assert cluster.members[1].streaming

    def test_what_a_rolled_back_primary_lacks_is_given_up_only_on_purpose(self) -> None:
        cluster = Cluster(PRIMARY, AHEAD)
        with pytest.raises(
            OpsError, match=r"`ado-ops postgres promote postgresql-1 --accept-loss` keeps them"
        ):
            _rejoin(cluster, 1, reclone=True)
        assert cluster.changes == []
        assert _rejoin(cluster, 1, reclone=True, accept_loss=True)

    def test_one_that_waits_for_a_copy_without_room_is_told_so_at_once(self) -> None:
        room = "9 MiB are lacking. `ado-ops postgres rejoin postgresql-1 --reclone` deletes"
        cluster = Cluster(PRIMARY, replace(STANDBY, server=None, streaming=False, waiting=room))
        with pytest.raises(OpsError, match=r"9 MiB are lacking.*--reclone"):
            _rejoin(cluster, 1)
        assert cluster.changes == []
        assert _rejoin(cluster, 1, reclone=True)

    @pytest.mark.parametrize(
        ("leader", "here"),
        [
            (replace(PRIMARY, oldest=900), replace(STANDBY, streaming=False, end=800)),
            (
                replace(PRIMARY, oldest=900),
                replace(STANDBY, server=None, disk="primary", streaming=False, end=800),
            ),
        ],
        ids=["standby", "former primary"],
    )
    def test_a_volume_whose_wal_is_gone_is_refused_at_once_with_what_helps(
        self, leader: Member, here: Member
    ) -> None:
        cluster = Cluster(leader, replace(here, streaming=False))
        with pytest.raises(
            OpsError, match=r"`ado-ops postgres rejoin postgresql-1 --reclone` deletes .*only copy"
        ):
            _rejoin(cluster, 1)
        assert cluster.changes == []
        assert _rejoin(cluster, 1, reclone=True)
        assert cluster.members[1].streaming

    @pytest.mark.parametrize(
        "here",
        [
            replace(STANDBY, streaming=False, asked=False, end=800),
            replace(STANDBY, streaming=False, end=900),
        ],
        ids=["replays its own still", "has all of it"],
    )
    def test_a_standby_that_may_still_follow_is_not_given_up(self, here: Member) -> None:
        assert not lacks_wal(here, replace(PRIMARY, oldest=900))

    @pytest.mark.parametrize("slot", [None, "lost"])
    def test_where_the_slot_is_lost_the_pod_copies_while_what_it_has_stays(
        self, slot: str | None
    ) -> None:
        here = replace(STANDBY, streaming=False, end=800)
        assert not lacks_wal(here, replace(PRIMARY, slot=slot, oldest=900))

    def test_a_volume_whose_wal_is_all_there_is_not_copied(self) -> None:
        cluster = Cluster(replace(PRIMARY, oldest=900), replace(STANDBY, streaming=False, end=900))
        assert _rejoin(cluster, 1)
        assert "reclone postgresql-1" not in cluster.changes

    def test_what_the_pod_waits_for_is_known_by_its_mark_and_by_no_word_of_its_sentence(
        self,
    ) -> None:
        waits = replace(STANDBY, server=None, streaming=False, waiting="in other words")
        with pytest.raises(OpsError, match="waits: in other words"):
            rejoining._refuse_to_rewind(replace(waits, needs_copy=True), PRIMARY)
        rejoining._refuse_to_rewind(replace(waits, waiting="not by --reclone"), PRIMARY)

    def test_a_copy_is_waited_for_as_long_as_it_grows(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks = [STANDBY, *[replace(STANDBY, streaming=False, copying=True)] * 3]
        clock = iter(range(0, 10000, 200))  # each look comes long after the one before
        monkeypatch.setattr(rejoining, "FOLLOW", 300)
        monkeypatch.setattr(rejoining, "look", lambda *_: looks.pop())
        monkeypatch.setattr(rejoining.time, "monotonic", lambda: next(clock))
        monkeypatch.setattr(rejoining.time, "sleep", lambda _: None)
        rejoining._see_it_follow(Cluster(), 1)  # pyright: ignore[reportArgumentType]
        assert looks == []
        looks += [replace(STANDBY, streaming=False, waiting="a primary")] * 9
        with pytest.raises(OpsError, match="does not follow yet: a primary"):
            rejoining._see_it_follow(Cluster(), 1)  # pyright: ignore[reportArgumentType]

    def test_the_primary_is_never_rewound(self) -> None:
        cluster = Cluster()
        with pytest.raises(
            OpsError, match=r"is the primary by.*Was `ado-ops postgres rejoin postgresql-1` meant"
        ):
            _rejoin(cluster, 0)
        assert cluster.changes == []


class TestStatus:
    def test_of_a_healthy_pair_there_is_nothing_to_say(self) -> None:
        assert list(report.findings(BEGUN, (PRIMARY, STANDBY), SERVICES, NAMESPACE)) == []

    @pytest.mark.parametrize(
        ("record", "members", "found"),
        [
            (replace(BEGUN, initialised=False), (PRIMARY, STANDBY), "Lost record"),
            (BEGUN, (PRIMARY, replace(STANDBY, system="8")), "different databases"),
            (BEGUN, (PRIMARY, replace(STANDBY, server="primary")), "Both pods are primary"),
            (BEGUN, (replace(PRIMARY, server="standby"), STANDBY), "not promoted yet"),
            (BEGUN, (replace(PRIMARY, server=None), STANDBY), "promote postgresql-1"),
            (BEGUN, (PRIMARY, replace(STANDBY, server=None)), "rejoin postgresql-1"),
            (BEGUN, (PRIMARY, replace(STANDBY, streaming=False)), "receives nothing"),
            (
                BEGUN,
                (replace(PRIMARY, oldest=900), replace(STANDBY, streaming=False, end=800)),
                "`ado-ops postgres rejoin postgresql-1 --reclone` deletes what it has",
            ),
            (
                BEGUN,
                (replace(PRIMARY, slot="lost"), replace(STANDBY, streaming=False)),
                "`ado-ops postgres rejoin postgresql-1`",
            ),
            (BEGUN, (PRIMARY, replace(STANDBY, blocked=True)), "delete pod postgresql-1"),
            (
                BEGUN,
                (PRIMARY, AHEAD),
                "`ado-ops postgres promote postgresql-1 --accept-loss` keeps them",
            ),
            (
                BEGUN,
                (
                    PRIMARY,
                    replace(
                        STANDBY,
                        server=None,
                        waiting="`ado-ops postgres rejoin postgresql-1 --reclone`",
                    ),
                ),
                "postgresql-1 waits: `ado-ops postgres rejoin postgresql-1 --reclone`",
            ),
            (
                BEGUN,
                (PRIMARY, replace(STANDBY, server=None, disk="empty", copying=True)),
                "copies postgresql-0",
            ),
            (BEGUN, (replace(PRIMARY, end=2**30), STANDBY), "bytes behind"),
            (replace(BEGUN, fenced=frozenset({1})), (PRIMARY, STANDBY), "unfence postgresql-1"),
            (
                replace(BEGUN, fenced=frozenset({0})),
                (replace(PRIMARY, server=None), STANDBY),
                "unfence postgresql-0`, or `ado-ops postgres promote postgresql-1`.",
            ),
        ],
    )
    def test_what_is_wrong_is_said_with_what_to_do(
        self, record: Record, members: tuple[Member, Member], found: str
    ) -> None:
        assert found in "\n".join(report.findings(record, members, SERVICES, NAMESPACE))

    def test_with_both_fenced_only_the_primary_can_come_back(self) -> None:
        record = replace(BEGUN, fenced=frozenset({0, 1}))
        members = (replace(PRIMARY, server=None), replace(STANDBY, server=None, disk="primary"))
        told = "\n".join(report.findings(record, members, SERVICES, NAMESPACE))
        assert "serves nobody: `ado-ops postgres unfence postgresql-0`." in told
        assert "promote" not in told

    def test_a_full_volume_leads_to_its_growing_and_not_to_the_standby_that_is_as_full(
        self,
    ) -> None:
        waiting = "the volume is full, and without room no server starts"
        members = (replace(PRIMARY, server=None, room=3, waiting=waiting), replace(STANDBY, room=9))
        told = list(report.findings(BEGUN, members, SERVICES, NAMESPACE))
        for line, (member, room) in zip(
            told, [("postgresql-0", 3), ("postgresql-1", 9)], strict=False
        ):
            assert line.startswith(f"The volume of {member} has only {room} MiB free")
            assert line.endswith("(docs/data-runbooks.md, Growing a volume).")
        assert told[2] == f"The primary postgresql-0 waits: {waiting}."
        assert "promote" not in "\n".join(told)

    def test_a_service_that_leads_elsewhere_is_named(self) -> None:
        moved = {**SERVICES, "postgresql": {pair.POD_LABEL: "postgresql-1"}}
        (line,) = report.findings(BEGUN, (PRIMARY, STANDBY), moved, NAMESPACE)
        assert line.startswith("Service postgresql does not lead to postgresql-0")

    def test_a_database_that_is_outside_has_nobody_to_ask(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Target, "reach", lambda *_: Cluster())
        monkeypatch.setattr(Target, "settings", lambda _: {"ado:postgres": {"mode": "external"}})
        done = CliRunner().invoke(cli.app, ["postgres", "status", "--stack", "dev"])
        assert done.exit_code == 0
        assert "ask who runs it" in done.stdout

    @pytest.mark.parametrize(
        ("right", "part"),
        [
            ("get services", "where the Services lead"),
            ("get secrets", "whether a rotation of the password was cut off"),
            ("list jobs", "whether a restore was cut off"),
            ("get cronjobs", "how old the last backup is"),
            ("list deployments", "of the password was cut off; whether a restore was cut off"),
        ],
    )
    def test_what_may_not_be_read_is_said_and_the_rest_is_shown(
        self, right: str, part: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        platform = Platform(PRIMARY, replace(STANDBY, streaming=False))
        platform.forbidden = {right}
        monkeypatch.setattr(Target, "reach", lambda *_: platform)
        monkeypatch.setattr(Target, "settings", lambda _: {})
        done = CliRunner().invoke(cli.app, ["postgres", "status", "--stack", "dev"])
        assert done.exit_code == 3, done.exception
        assert "postgresql-1 receives nothing" in done.stdout
        (line,) = [each for each in done.stdout.splitlines() if "You may not" in each]
        assert f"{part}. You may not {right} in namespace ado-system" in line
        assert "`ado-ops role --namespace ado-system`" in line


def _rotate(cluster: Rotated, password: str | None = None) -> str:
    said: list[str] = []
    rotation.rotate(cluster, said.append, password)  # pyright: ignore[reportArgumentType]
    return "\n".join(said)


def _login(cluster: Rotated, leader: Member) -> list[str]:
    return list(rotation.findings(cluster, leader))  # pyright: ignore[reportArgumentType]


class Borrowed(Rotated):
    """The same, where the password is in a Secret of others."""

    def __init__(self) -> None:
        super().__init__()
        (name,) = self.readers
        reference = {"secretKeyRef": {"name": "ado-passwords", "key": "database"}}
        self.readers[name]["spec"]["template"]["spec"]["containers"][0]["env"] = [
            {"name": "DATABASE_PASSWORD", "valueFrom": reference},
            {
                "name": "DATABASE_URL",
                "value": "postgresql://ado:$(DATABASE_PASSWORD)@postgresql:5432/ado",
            },
        ]
        self.theirs = "former"

    def secret(self, name: str, key: str) -> Kept:
        assert (name, key) == ("ado-passwords", "database")
        return Kept(self.theirs, self.theirs)


class TestRotateWhatOthersKeep:
    def test_the_role_and_its_readers_follow_and_no_secret_is_written(self) -> None:
        cluster = Borrowed()
        assert _login(cluster, PRIMARY) == []
        cluster.theirs = "n-w"
        (line,) = _login(cluster, PRIMARY)
        assert line.startswith("Secret ado-passwords has a password that role ado is refused with")
        assert "`ado-ops postgres rotate`" in line
        assert "n-w" not in _rotate(cluster)
        assert cluster.changes == ["role ado in postgresql-0", "restart ado-api-gateway"]
        assert cluster.accepts("n-w")
        assert _login(cluster, PRIMARY) == []

    def test_one_that_is_given_is_refused_with_where_it_belongs(self) -> None:
        cluster = Borrowed()
        with pytest.raises(OpsError, match="in Secret ado-passwords, key database, which others"):
            _rotate(cluster, "n-w")
        assert cluster.changes == []
        cluster.theirs = "n-w"
        _rotate(cluster)
        assert cluster.accepts("n-w")

    @pytest.mark.parametrize("theirs", ["", "n@w", "n-w\n"])
    def test_one_that_fits_into_no_url_is_refused_and_not_shown(self, theirs: str) -> None:
        cluster = Borrowed()
        cluster.theirs = theirs
        with pytest.raises(OpsError, match="has no password of letters, digits") as refused:
            _rotate(cluster)
        assert "n@w" not in str(refused.value)
        assert cluster.changes == []

    def test_a_deployment_of_somebody_elses_is_not_taken_for_a_reader(self) -> None:
        reference = {"secretKeyRef": {"name": "theirs", "key": "password"}}
        stranger = reader("stranger", reads=False)
        stranger["spec"]["template"]["spec"]["containers"][0]["env"] = [
            {"name": "DATABASE_PASSWORD", "valueFrom": reference},
            {"name": "DATABASE_URL", "value": "postgresql://me:$(DATABASE_PASSWORD)@db/mine"},
        ]
        found = [model("V1Deployment", stranger)]
        assert rotation.elsewhere(found) is None
        assert rotation.readers(found) == []
        assert writers.store_users(found) == []

    def test_who_uses_a_store_is_known_wherever_its_url_is(self) -> None:
        own = reader("ado-worker", reads=False)
        own["metadata"]["labels"] = {"app.kubernetes.io/part-of": "ado"}
        own["spec"]["template"]["spec"]["containers"][0]["env"] = [
            {"name": "REDIS_URL", "value": "redis://:$(REDIS_PASSWORD)@redis:6379/0"}
        ]
        assert writers.store_users([model("V1Deployment", own)]) == ["ado-worker"]


class TestRotate:
    def test_the_role_comes_first_then_its_secrets_then_their_readers(self) -> None:
        cluster = Rotated()
        assert "n@w" not in _rotate(cluster, "n@w")
        assert cluster.changes == [
            "role ado in postgresql-0",
            "Secret postgresql: password",
            "Secret ado-secrets: database-url",
            "restart ado-api-gateway",
        ]
        assert cluster.lets_in("n@w")

    def test_a_password_that_is_not_given_is_made_and_never_said(self) -> None:
        cluster = Rotated()
        said = _rotate(cluster)
        made = cluster.secrets["password"]
        assert cluster.lets_in(made)
        assert len(made) == 32
        assert made not in said
        _rotate(cluster)
        assert cluster.secrets["password"] != made

    def test_a_password_that_the_secret_has_and_the_database_refuses_is_a_finding(self) -> None:
        cluster = Rotated()
        _rotate(cluster, "n@w")
        assert _login(cluster, PRIMARY) == []
        cluster.secrets["password"] = "former"
        line, *_ = _login(cluster, PRIMARY)
        assert line.startswith("Secret postgresql has a password that role ado is refused with")
        assert _login(cluster, STANDBY) == []

    @pytest.mark.parametrize(
        ("made", "found"),
        [
            (1, "Secret postgresql has a password that role ado is refused with"),
            (2, "Secret ado-secrets has another password than Secret postgresql"),
            (4, "Started before the password was changed: ado-api-gateway"),
        ],
    )
    def test_cut_off_after_any_step_it_is_named_and_the_same_command_goes_on(
        self, made: int, found: str
    ) -> None:
        cluster = Rotated()
        _rotate(cluster, "first")
        cluster.interrupt_after = cluster.calls + made
        with pytest.raises(Killed):
            _rotate(cluster, "n@w")
        told = "\n".join(_login(cluster, PRIMARY))
        assert found in told
        assert "`ado-ops postgres rotate`" in told
        cluster.interrupt_after = None
        _rotate(cluster, "n@w")
        assert cluster.lets_in("n@w")
        assert _login(cluster, PRIMARY) == []

    def test_a_secret_that_cannot_be_read_is_a_finding(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def missing(*_: str) -> str:
            raise OpsError("There is no key password in Secret postgresql")

        cluster = Rotated()
        monkeypatch.setattr(cluster, "secret", missing)
        (line,) = _login(cluster, PRIMARY)
        assert "There is no key password in Secret postgresql" in line

    @pytest.mark.parametrize(
        ("key", "name"), [("password", "postgresql"), ("database-url", "ado-secrets")]
    )
    def test_a_secret_that_somebody_else_changes_meanwhile_is_left_to_them(
        self, key: str, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cluster = Rotated()
        theirs = "postgresql://ado:theirs@postgresql:5432/ado"

        def change(what: str) -> None:
            Rotated.change(cluster, what)
            if what.startswith("role ado"):
                cluster.secrets[key] = theirs

        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(cluster, "change", change)
            with pytest.raises(OpsError, match=f"changed Secret {name}"):
                _rotate(cluster, "n@w")
        assert cluster.secrets[key] == theirs
        _rotate(cluster, "n@w")
        assert cluster.lets_in("n@w")

    def test_without_a_primary_nothing_is_changed(self) -> None:
        cluster = Rotated()
        cluster.members[0] = replace(PRIMARY, server=None)
        with pytest.raises(OpsError, match="postgresql-0 does not run as the primary"):
            _rotate(cluster, "n@w")
        assert cluster.changes == []

    @pytest.mark.parametrize("text", ["n@w", "n@w\n", " :/%'\" \n"])
    def test_a_line_is_accepted_as_a_password(self, text: str) -> None:
        assert rotation.accepted(text) == text.removesuffix("\n")

    @pytest.mark.parametrize(
        "text", ["", "\n", "canary\nline", "canary\r\n", "canary\n\n", "canarü", "canary\t"]
    )
    def test_anything_else_is_refused_and_not_shown(self, text: str) -> None:
        with pytest.raises(OpsError, match="password") as refused:
            rotation.accepted(text)
        assert "canar" not in str(refused.value)

    def test_the_stacks_own_password_is_piped_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cluster = Rotated()
        monkeypatch.setattr(Target, "reach", lambda *_: cluster)
        command = ["postgres", "rotate", "--stack", "dev", "--stdin"]
        done = CliRunner().invoke(cli.app, command, input="n@w\n", catch_exceptions=False)
        assert cluster.lets_in("n@w")
        assert "n@w" not in done.output
        assert "pulumi" not in done.output  # the stack needs not be told
        refused = CliRunner().invoke(cli.app, command, input=b"\xff\xfe")
        assert isinstance(refused.exception, OpsError)
        assert cluster.lets_in("n@w")

    def test_a_verifier_is_what_postgresql_keeps(self) -> None:
        # RFC 7677, section 3: the server's key of that exchange, from its password and salt.
        salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
        kind, parameters, keys = rotation.scram("pencil", salt).split("$")
        assert (kind, parameters) == ("SCRAM-SHA-256", "4096:W22ZaJ0SNY7soEsUEjb6gQ==")
        server_key = base64.b64decode(keys.partition(":")[2])
        messages = (
            "n=user,r=rOprNGfwEbeRWgbNEkqO,"
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
        )
        signature = base64.b64encode(hmac.digest(server_key, messages.encode(), "sha256"))
        assert signature == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

    def test_two_verifiers_of_one_password_differ(self) -> None:
        assert rotation.scram("same") != rotation.scram("same")

    @pytest.mark.parametrize("former", ["plain", "p%40ss%3A", ""])
    def test_only_the_password_of_the_url_changes(self, former: str) -> None:
        url = f"postgresql://ado:{former}@postgresql:5432/ado"
        assert rotation.with_password(url, "n@w") == "postgresql://ado:n%40w@postgresql:5432/ado"


@pytest.mark.parametrize(
    ("text", "bytes_"), [("0/0", 0), ("0/A000060", 0xA000060), ("2/1", 2**33 + 1), ("", None)]
)
def test_a_position_of_the_wal_is_a_number_of_bytes(text: str, bytes_: int | None) -> None:
    assert pair.position(text) == bytes_


@pytest.mark.parametrize("name", ["postgresql-2", "redis-0", "", "primary"])
def test_a_pod_of_another_name_is_refused(name: str) -> None:
    with pytest.raises(OpsError, match="is no pod of PostgreSQL"):
        pair.ordinal_of(name)
