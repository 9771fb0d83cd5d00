"""The operator's commands on PostgreSQL, against a cluster that is played by a small class."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from kubernetes import client
from typer.testing import CliRunner

from ado_infra.ops import cli
from ado_infra.ops.errors import OpsError
from ado_infra.ops.postgres import fencing, pair, promotion, rejoining, report, rotation
from ado_infra.ops.postgres.pair import Member, Record
from ado_infra.ops.target import Target

JSON = "application/json"
BEGUN = Record(initialised=True, primary=0, fenced=frozenset())
PRIMARY = Member(
    ordinal=0,
    phase="Running",
    ready=True,
    node="n1",
    disk="primary",
    server="primary",
    system="7",
    timeline=1,
    end=1000,
    slot="reserved",
)
STANDBY = Member(
    ordinal=1,
    phase="Running",
    ready=True,
    node="n2",
    disk="standby",
    server="standby",
    system="7",
    timeline=1,
    end=1000,
    streaming=True,
)
AHEAD = replace(STANDBY, streaming=False, end=(PRIMARY.end or 0) + 2**20)
"""A standby whose primary was rolled back."""
SERVICES = {
    service: {pair.POD_LABEL: f"postgresql-{ordinal}"}
    for service, ordinal in (("postgresql", 0), ("postgresql-ro", 1))
}


def _containers(*, running: bool) -> Any:
    state = SimpleNamespace(running=running or None, terminated=None if running else "at")
    return SimpleNamespace(container_statuses=[SimpleNamespace(state=state, restart_count=0)])


class Cluster:
    """Two pods, the record and the Services, as far as the commands see them.

    `interrupt_after`: how many changes are made before the operator's machine dies.
    """

    name = "ado-system"
    api = None

    def __init__(self, *members: Member) -> None:
        self.members = list(members or (PRIMARY, STANDBY))
        self.data: dict[str, str] = {"initialised": "true"}
        self.services = {name: dict(selector) for name, selector in SERVICES.items()}
        self.nodes_off: set[str] = set()
        self.changes: list[str] = []
        self.silent_scripts: set[int] = set()
        self.unstarted: set[int] = set()
        self.lost_volumes: set[int] = set()
        self.torn_away: set[int] = set()
        """Whose pods lose their objects while their containers run on."""
        self.interrupt_after: int | None = None
        self._born = [0, 0]
        self._revision = 0

    def version(self) -> str:
        return str(self._revision)

    def primaries(self) -> list[int]:
        return [m.ordinal for m in self.members if m.server == "primary"]

    def pod(self, name: str) -> Any:
        ordinal = pair.ordinal_of(name)
        metadata = SimpleNamespace(name=name, uid=str(self._born[ordinal]), deletion_timestamp=None)
        spec = SimpleNamespace(
            node_name=self.members[ordinal].node, termination_grace_period_seconds=-30
        )
        running = ordinal not in self.unstarted
        return SimpleNamespace(metadata=metadata, spec=spec, status=_containers(running=running))

    def config_map(self, name: str) -> Any:
        assert name == "postgresql-state"
        metadata = SimpleNamespace(resource_version=self.version())
        return SimpleNamespace(data=dict(self.data), metadata=metadata)

    def service(self, name: str) -> Any:
        return SimpleNamespace(spec=SimpleNamespace(selector=self.services[name]))

    def looks_at(self, pod: Any, seconds: float) -> Iterator[Any]:
        assert seconds
        ordinal = pair.ordinal_of(pod.metadata.name)
        yield None
        while pod.metadata.uid == str(self._born[ordinal]):
            yield None
        yield SimpleNamespace(status=_containers(running=ordinal in self.torn_away))

    def node_answers(self, name: str) -> bool:
        return name not in self.nodes_off

    def patch_config_map(
        self, name: str, data: dict[str, str | None], *, version: str | None = None
    ) -> None:
        if version not in {None, self.version()}:
            raise OpsError("somebody else")
        self._change(f"{name}: {data}")
        self._revision += 1
        for key, value in data.items():
            self.data.pop(key, None)
            if value is not None:
                self.data[key] = value

    def patch_selector(self, service: str, selector: dict[str, str]) -> None:
        self._change(f"{service}: {selector}")
        self.services[service].update(selector)

    def poke(self, pod: str) -> None:
        ordinal = pair.ordinal_of(pod)
        if self._fenced(ordinal) or self.members[ordinal].server:
            return
        if self.members[ordinal].disk == "standby":
            streaming = bool(self.primaries())
            self._set(ordinal, server="standby", fenced=False, streaming=streaming)
        elif self.data.get("primary", "0") == str(ordinal):
            self._set(ordinal, server="primary", fenced=False)

    def delete_pod(self, pod: Any, *, force: bool = False) -> None:
        ordinal = pair.ordinal_of(pod.metadata.name)
        if self.members[ordinal].node in self.nodes_off and not force:
            return
        self._change(f"delete {pod.metadata.name}" + (" by force" if force else ""))
        self._born[ordinal] += 1
        if force or ordinal in self.lost_volumes:
            trouble = "no node" if force else "no volume"
            self._set(ordinal, server=None, trouble=trouble, end=None)
        else:
            fenced = self._fenced(ordinal) and ordinal not in self.silent_scripts
            self._set(ordinal, server=None, fenced=fenced, streaming=False)

    def run(self, pod: str, command: tuple[str, ...], *, seconds: float) -> str:
        assert seconds
        ordinal = pair.ordinal_of(pod)
        sql = command[-1]
        if "pg_promote" in sql:
            self._change(f"promote {pod}")
            self._set(ordinal, server="primary", disk="primary", streaming=False)
        elif "create_physical_replication_slot" in sql:
            self._set(ordinal, slot="reserved")
        elif sql in {"rewind", "reclone"}:
            self._change(f"{sql} {pod}")
            assert self.members[ordinal].server is None
            self._set(ordinal, disk="standby")
        else:
            raise AssertionError(f"unknown: {sql}")
        return ""

    def look(self, ordinal: int) -> Member:
        return replace(self.members[ordinal], sees=int(self.data.get("primary", "0")))

    def _fenced(self, ordinal: int) -> bool:
        return str(ordinal) in self.data.get("fenced", "").split()

    def _set(self, ordinal: int, **changes: Any) -> None:
        self.members[ordinal] = replace(self.members[ordinal], **changes)

    def _change(self, what: str) -> None:
        if self.interrupt_after == len(self.changes):
            raise KeyboardInterrupt
        self.changes.append(what)
        assert len(self.primaries()) < 2, "two primaries"


@pytest.fixture(autouse=True)
def looked_at_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pods' own script would tell."""
    for module in (fencing, promotion, rejoining, rotation):
        monkeypatch.setattr(module, "look", lambda cluster, ordinal, *_: cluster.look(ordinal))
    monkeypatch.setattr(cli, "alone", lambda *_: nullcontext())
    monkeypatch.setattr(fencing, "_RESTART", 0)
    monkeypatch.setattr(fencing, "_SUCCESSOR", 0)


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

    @pytest.mark.parametrize("made", range(6))
    def test_interrupted_after_any_step_the_same_command_goes_on(self, made: int) -> None:
        straight, cluster = Cluster(), Cluster()
        _promote(straight)
        cluster.interrupt_after = made
        with pytest.raises(KeyboardInterrupt):
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
            OpsError, match=r"500 bytes of WAL .*`unfence postgresql-0`.*accept-loss"
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
        with pytest.raises(OpsError, match=r"node n1 does not answer.*--node-is-off"):
            _promote(cluster)
        assert "promote postgresql-1" not in cluster.changes
        done = _promote(cluster, node_is_off=True)
        assert "delete postgresql-0 by force" in cluster.changes
        assert done.lost is None
        assert cluster.data["primary"] == "1"

    def test_a_pod_whose_script_does_not_say_that_it_waits_may_still_have_a_server(self) -> None:
        cluster = Cluster()
        cluster.silent_scripts = {0}  # it waits for a container that was deleted by force
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
        with pytest.raises(OpsError, match="kubectl delete pod postgresql-1"):
            _promote(cluster)
        assert cluster.changes == []

    def test_one_that_comes_to_allow_too_few_meanwhile_is_refused_before_the_record(self) -> None:
        cluster = Cluster()

        def say(line: str) -> None:
            if line == "stopping postgresql-0":
                cluster.members[1] = replace(STANDBY, blocked=True)

        with pytest.raises(OpsError, match=r"delete pod postgresql-1.*`unfence postgresql-0`"):
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
        with pytest.raises(OpsError, match=r"older data than postgresql-0.*`rejoin postgresql-1`"):
            _promote(cluster, accept_loss=True)
        assert cluster.changes == []

    def test_without_a_record_nothing_is_promoted(self) -> None:
        cluster = Cluster()
        cluster.data = {}
        with pytest.raises(OpsError, match="Lost record"):
            _promote(cluster)
        assert cluster.changes == []

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
        cluster.torn_away = {0}
        cluster.lost_volumes = {0}
        if deleted_by_others:
            cluster.delete_pod(cluster.pod("postgresql-0"))
            cluster.unstarted = {0}
        with pytest.raises(OpsError, match=r"Nobody can tell whether postgresql-0 .*--node-is-off"):
            _promote(cluster, accept_loss=True)
        assert "promote postgresql-1" not in cluster.changes
        assert _promote(cluster, accept_loss=True, node_is_off=True).lost is None
        assert cluster.data["primary"] == "1"

    def test_a_pod_that_has_ended_and_does_not_start_again_has_no_server(self) -> None:
        cluster = Cluster()
        cluster.lost_volumes = {0}
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
        with pytest.raises(OpsError, match=r"`promote postgresql-1 --accept-loss` keeps them"):
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

    def test_a_copy_is_waited_for_as_long_as_it_grows(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks = [STANDBY, *[replace(STANDBY, streaming=False, copying=True)] * 3]
        clock = iter(range(0, 10000, 200))  # each look comes long after the one before
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
        with pytest.raises(OpsError, match=r"is the primary by.*Was `rejoin postgresql-1` meant"):
            _rejoin(cluster, 0)
        assert cluster.changes == []


class TestStatus:
    def test_of_a_healthy_pair_there_is_nothing_to_say(self) -> None:
        assert list(report.findings(BEGUN, (PRIMARY, STANDBY), SERVICES)) == []

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
                (replace(PRIMARY, slot="lost"), replace(STANDBY, streaming=False)),
                "rejoin postgresql-1 --reclone",
            ),
            (BEGUN, (PRIMARY, replace(STANDBY, blocked=True)), "kubectl delete pod postgresql-1"),
            (BEGUN, (PRIMARY, AHEAD), "`promote postgresql-1 --accept-loss` keeps them"),
            (
                BEGUN,
                (PRIMARY, replace(STANDBY, server=None, waiting="`rejoin postgresql-1 --reclone`")),
                "postgresql-1 waits: `rejoin postgresql-1 --reclone`",
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
                "`unfence postgresql-0`, or `promote postgresql-1`.",
            ),
        ],
    )
    def test_what_is_wrong_is_said_with_what_to_do(
        self, record: Record, members: tuple[Member, Member], found: str
    ) -> None:
        assert found in "\n".join(report.findings(record, members, SERVICES))

    def test_with_both_fenced_only_the_primary_can_come_back(self) -> None:
        record = replace(BEGUN, fenced=frozenset({0, 1}))
        members = (replace(PRIMARY, server=None), replace(STANDBY, server=None, disk="primary"))
        told = "\n".join(report.findings(record, members, SERVICES))
        assert "serves nobody: `unfence postgresql-0`." in told
        assert "promote" not in told

    def test_a_full_volume_leads_to_its_growing_and_not_to_the_standby_that_is_as_full(
        self,
    ) -> None:
        waiting = "the volume is full, and without room no server starts"
        members = (replace(PRIMARY, server=None, room=3, waiting=waiting), replace(STANDBY, room=9))
        told = list(report.findings(BEGUN, members, SERVICES))
        for line, (member, room) in zip(
            told, [("postgresql-0", 3), ("postgresql-1", 9)], strict=False
        ):
            assert line.startswith(f"The volume of {member} has only {room} MiB free")
            assert line.endswith("(docs/data-runbooks.md, Growing a volume).")
        assert told[2] == f"The primary postgresql-0 runs no server ({waiting})."
        assert "promote" not in "\n".join(told)

    def test_a_service_that_leads_elsewhere_is_named(self) -> None:
        moved = {**SERVICES, "postgresql": {pair.POD_LABEL: "postgresql-1"}}
        (line,) = report.findings(BEGUN, (PRIMARY, STANDBY), moved)
        assert line.startswith("Service postgresql does not lead to postgresql-0")

    def test_a_database_that_is_outside_has_nobody_to_ask(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Target, "reach", lambda *_: Cluster())
        monkeypatch.setattr(Target, "settings", lambda _: {"ado:postgres": {"mode": "external"}})
        done = CliRunner().invoke(cli.app, ["postgres", "status", "--stack", "dev"])
        assert done.exit_code == 0
        assert "ask who runs it" in done.stdout


REFUSED = 'psql: error: FATAL:  password authentication failed for user "ado"'
GATEWAY = {
    "metadata": {"name": "ado-api-gateway", "generation": 1},
    "spec": {
        "replicas": 0,
        "selector": {},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "gateway",
                        "env": [
                            {
                                "name": "DATABASE_URL",
                                "valueFrom": {
                                    "secretKeyRef": {"name": "ado-secrets", "key": "database-url"}
                                },
                            }
                        ],
                    }
                ]
            }
        },
    },
    "status": {"observedGeneration": 1},
}


class Rotated(Cluster):
    """The pair with its Secrets and one reader of them."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets = {"password": "former", "database-url": _url("former")}
        self.changed_at: int | None = None
        self.restarted_at = 0

    def secret(self, name: str, key: str) -> str:
        assert name in {"postgresql", "ado-secrets"}
        return self.secrets[key]

    def patch_secret(self, name: str, values: dict[str, str]) -> None:
        self._change(f"Secret {name}: {', '.join(values)}")
        self.secrets.update(values)
        self.changed_at = len(self.changes)

    def secret_changed(self, name: str) -> int | None:
        assert name == "ado-secrets"
        return self.changed_at

    def pods_of_deployment(self, deployment: Any) -> list[Any]:
        assert deployment
        return [SimpleNamespace(metadata=SimpleNamespace(creation_timestamp=self.restarted_at))]

    def run(
        self,
        pod: str,
        command: tuple[str, ...],
        given: str | None = None,
        *,
        seconds: float = 0,  # noqa: ARG002
    ) -> str:
        assert given
        assert given not in " ".join(command)
        if "ALTER ROLE" not in command[-1]:
            return "1 row" if self.lets_in(given) else REFUSED
        self._change(f"role ado in {pod}")
        self.secrets["verifier"] = given
        return ""

    def deployments(self) -> list[Any]:
        return [client.ApiClient().deserialize(json.dumps(GATEWAY), "V1Deployment", JSON)]

    def restart(self, deployment: str, annotation: str) -> None:
        assert annotation
        self._change(f"restart {deployment}")
        self.restarted_at = len(self.changes)

    def lets_in(self, password: str) -> bool:
        """Whether the database, and everybody who has read the Secrets, has this password."""
        salt = self.secrets["verifier"].split(":")[1].partition("$")[0]
        verifier = rotation.scram(password, base64.b64decode(salt))
        wanted = {"password": password, "database-url": _url(password), "verifier": verifier}
        return self.secrets == wanted


def _url(password: str) -> str:
    return f"postgresql://ado:{quote(password)}@postgresql:5432/ado"


def _rotate(cluster: Rotated, password: str | None = None) -> str:
    said: list[str] = []
    rotation.rotate(cluster, said.append, password)  # pyright: ignore[reportArgumentType]
    return "\n".join(said)


def _login(cluster: Rotated, leader: Member) -> list[str]:
    return list(rotation.findings(cluster, leader))  # pyright: ignore[reportArgumentType]


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
            (3, "Started before the password was changed: ado-api-gateway"),
        ],
    )
    def test_cut_off_after_any_step_it_is_named_and_the_same_command_goes_on(
        self, made: int, found: str
    ) -> None:
        cluster = Rotated()
        _rotate(cluster, "first")
        cluster.interrupt_after = len(cluster.changes) + made
        with pytest.raises(KeyboardInterrupt):
            _rotate(cluster, "n@w")
        told = "\n".join(_login(cluster, PRIMARY))
        assert found in told
        assert "`rotate`" in told
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
