"""The operator's commands on backups, with a cluster played by a small class."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import kubernetes_validate
import pytest
from kubernetes import client
from typer.testing import CliRunner

from ado_infra.ops import cli
from ado_infra.ops.errors import OpsError
from ado_infra.ops.postgres import backups, commands, jobs, writers
from ado_infra.ops.postgres.backups import Backups
from ado_infra.ops.target import Target
from tests.support.recording import record_stack

NAME = "20260102T030000Z"
NOW = datetime(2026, 1, 8, 12, 30, tzinfo=UTC)
API = client.ApiClient()


def model(kind: str, document: dict[str, Any]) -> Any:
    """An object as the client gives it."""
    return API.deserialize(json.dumps(document), kind, "application/json")


WRITERS = {"ado-api-gateway": 2, "ado-orchestrator": 1, "ado-dashboard": 3}
"""Deployments, and how many pods they have; the last one is not given the database's URL."""


def _writer(name: str, replicas: int) -> dict[str, Any]:
    reference = {"secretKeyRef": {"name": "ado-secrets", "key": "database-url"}}
    variables = [] if name == "ado-dashboard" else [{"name": "URL", "valueFrom": reference}]
    pod = {"spec": {"containers": [{"name": "one", "env": variables}]}}
    spec = {"replicas": replicas, "selector": {}, "template": pod}
    return {"metadata": {"name": name}, "spec": spec, "status": {"replicas": replicas}}


class Cluster:
    """The CronJob of a stack, and Jobs that end as soon as they are looked at twice.

    `outcome`: how they end. `says`: what each of their containers has said.
    """

    name = "ado-system"
    api = None

    def __init__(self, cron: dict[str, Any] | None) -> None:
        self.cron = cron
        self.made: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.outcome = "Complete"
        self.says = {"upload": "kept", "list": f"{NAME}\n20260101T030000Z\n", "restore": "restored"}
        self._there: dict[str, dict[str, Any]] = {}
        self.writers = {name: _writer(name, count) for name, count in WRITERS.items()}
        self.scaled: list[tuple[str, int | None]] = []
        self.running_then: list[int] = []
        """How many pods each of them had when a Job was made."""
        self.cut_off_at: tuple[str, int] | None = None
        self.tables = ""
        """What the database has."""
        self.serves = True

    def config_map(self, name: str) -> Any:
        assert name == "postgresql-state"
        data = {"initialised": "true", "primary": "1"}
        return model("V1ConfigMap", {"data": data, "metadata": {"resourceVersion": "1"}})

    def pod(self, name: str) -> Any:
        assert name == "postgresql-1"
        spec, status = {"containers": []}, {"phase": "Running"}
        return model("V1Pod", {"metadata": {"name": name}, "spec": spec, "status": status})

    def run(self, pod: str, command: tuple[str, ...], **_: Any) -> str:
        assert pod == "postgresql-1"
        if "look.sh" in " ".join(command):
            return "disk=primary\nprimary=1\n" + ("server=primary\n" if self.serves else "")
        assert "--dbname ado " in command[2]
        return f"{self.tables}\n"

    def cron_job(self, name: str) -> Any:
        assert name == "postgresql-backup"
        return model("V1CronJob", self.cron) if self.cron else None

    def create_job(self, manifest: dict[str, Any]) -> None:
        kubernetes_validate.validate(manifest, "1.37", strict=True)
        name = manifest["metadata"]["name"]
        assert name not in self._there
        self.running_then = [w["status"]["replicas"] for w in self.writers.values()]
        self.made.append(manifest)
        self._there[name] = json.loads(json.dumps(manifest))

    def has(self, name: str, asked: str, *, over: bool = False, controller: bool = False) -> None:
        """A Job that was made before."""
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "postgresql-backup"}
        self._there[name] = {
            "metadata": {
                "name": name,
                "annotations": {"ado.ops/asked": asked},
                "ownerReferences": [owner | {"uid": "cron-uid", "controller": controller}],
            },
            "spec": {"activeDeadlineSeconds": 1, "template": {"spec": {"containers": []}}},
            "status": {"conditions": [{"type": "Failed", "status": "True"}]} if over else {},
        }

    @property
    def restores(self) -> list[dict[str, Any]]:
        """Those of the Jobs that restore."""
        return [job for job in self.made if job["metadata"]["name"] == "postgresql-restore"]

    def pods_of_deployment(self, deployment: Any) -> list[Any]:
        return [None] * deployment.status.replicas

    def deployments(self) -> list[Any]:
        return [model("V1Deployment", each) for each in self.writers.values()]

    def annotate_deployment(self, name: str, annotation: str, value: str | None) -> None:
        annotations = self.writers[name]["metadata"].setdefault("annotations", {})
        annotations.pop(annotation, None)
        if value is not None:
            annotations[annotation] = value

    def scale(self, deployment: str, replicas: int) -> None:
        if self.cut_off_at == (deployment, replicas):
            raise KeyboardInterrupt
        self.writers[deployment]["spec"]["replicas"] = replicas
        self.writers[deployment]["status"]["replicas"] = replicas
        self.scaled.append((deployment, replicas))

    def disown_scale(self, deployment: str) -> None:
        self.scaled.append((deployment, None))

    def jobs(self) -> list[Any]:
        found = [model("V1Job", {"status": {}, **job}) for job in self._there.values()]
        for job in self._there.values():
            job.setdefault("status", {"conditions": [{"type": self.outcome, "status": "True"}]})
            job["status"] = job["status"] or {
                "conditions": [{"type": self.outcome, "status": "True"}]
            }
        return found

    def delete_job(self, name: str) -> None:
        self.deleted.append(name)
        del self._there[name]

    def pods_of(self, job: Any) -> list[Any]:
        pod = self._there[job.metadata.name]["spec"]["template"]["spec"]
        ended = {"terminated": {"exitCode": 0}}
        state = {"image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": ended}
        status = {
            f"{kind}Statuses": [state | {"name": c["name"]} for c in pod.get(f"{kind}s", [])]
            for kind in ("initContainer", "container")
        }
        return [model("V1Pod", {"metadata": {"name": "pod"}, "status": status})]

    def log(self, pod: str, container: str) -> str:
        assert pod == "pod"
        return self.says.get(container, "")

    def plain(self, found: Any) -> Any:
        return API.sanitize_for_serialization(found)


@pytest.fixture(scope="module")
def cron() -> dict[str, Any]:
    """The CronJob as the stack makes it, with what the API server adds."""
    return _cron({"ado:postgres": {"backup": {"bucket": "backups"}}})


def _cron(changes: dict[str, Any]) -> dict[str, Any]:
    stack = record_stack("dev", changes=changes)
    # The mocks answer with floats.
    numbers = json.dumps(stack.only("CronJob"))
    found = json.loads(numbers, parse_float=lambda text: int(float(text)))
    found["metadata"]["uid"] = "cron-uid"
    return {**found, "status": {}}


@pytest.fixture
def cluster(cron: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr("ado_infra.ops.namespace.POLL", 0)
    return Cluster(cron)


def _silent(_: str) -> None:
    """Nobody listens."""


def _back_up(cluster: Cluster) -> str:
    return backups.back_up(cluster, _silent)  # pyright: ignore[reportArgumentType]


def _restore(
    cluster: Cluster, name: str = NAME, *, over: bool = False, prefix: str | None = None
) -> str:
    return backups.restore(cluster, name, _silent, prefix=prefix, into_non_empty=over)  # pyright: ignore[reportArgumentType]


def _names(cluster: Cluster, prefix: str | None = None) -> list[str]:
    return backups.names(cluster, _silent, prefix=prefix)  # pyright: ignore[reportArgumentType]


def _pod(job: dict[str, Any]) -> dict[str, Any]:
    return dict(job["spec"]["template"]["spec"])


class TestBackup:
    def test_it_is_a_run_of_the_cron_job(self, cluster: Cluster, cron: dict[str, Any]) -> None:
        assert _back_up(cluster) == "kept"
        (job,) = cluster.made
        assert job["spec"] == cron["spec"]["jobTemplate"]["spec"]
        (owner,) = job["metadata"]["ownerReferences"]
        # So the CronJob knows its runs: it notes their success, and clears them away.
        assert owner == {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "name": "postgresql-backup",
            "uid": "cron-uid",
            "controller": True,
        }

    def test_one_that_is_under_way_is_waited_for(self, cluster: Cluster) -> None:
        cluster.has("postgresql-backup-29", "", controller=True)
        cluster.has("postgresql-restore", "restore")  # no backup
        cluster.has("postgresql-backup-28", "", controller=True, over=True)
        _back_up(cluster)
        assert cluster.made == []

    def test_a_failure_comes_with_what_was_said(self, cluster: Cluster) -> None:
        cluster.outcome = "Failed"
        cluster.says["dump"] = "connection refused"
        with pytest.raises(
            OpsError, match=r"Job postgresql-backup-.*: Failed\.\nconnection refused"
        ):
            _back_up(cluster)

    def test_a_platform_without_one_is_told_how_to_have_it(self, cluster: Cluster) -> None:
        cluster.cron = None
        for command in (_back_up, _restore, _names):
            with pytest.raises(OpsError, match=r"config set --path ado:postgres\.backup"):
                command(cluster)


class TestRestore:
    @pytest.mark.parametrize(
        ("over", "arguments"), [(False, []), (True, ["--clean", "--if-exists"])]
    )
    def test_it_downloads_with_the_one_image_and_restores_with_the_other(
        self,
        cluster: Cluster,
        cron: dict[str, Any],
        over: bool,  # noqa: FBT001
        arguments: list[str],
    ) -> None:
        assert _restore(cluster, over=over) == "restored"
        (job,) = cluster.restores
        made, own = _pod(job), cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        (dump,), (upload,) = own["initContainers"], own["containers"]
        script = "/etc/ado/config/{}.sh"
        download = {"name": "download", "command": ["/bin/sh", script.format("download"), NAME]}
        restore = ["/bin/sh", script.format("restore"), NAME, *arguments]
        assert made["initContainers"] == [{**upload, **download}]
        assert made["containers"] == [{**dump, "name": "restore", "command": restore}]
        assert {k: made[k] for k in made if "ontainers" not in k} == {
            k: own[k] for k in own if "ontainers" not in k
        }

    def test_nobody_writes_meanwhile_and_all_are_as_before_afterwards(
        self, cluster: Cluster
    ) -> None:
        before = json.loads(json.dumps(cluster.writers))
        _restore(cluster)
        assert cluster.running_then == [0, 0, 3]
        for each in (*before.values(), *cluster.writers.values()):
            each["metadata"].setdefault("annotations", {})
        assert cluster.writers == before
        assert ("ado-orchestrator", None) in cluster.scaled  # the stack's again

    def test_one_that_fails_starts_them_too(self, cluster: Cluster) -> None:
        cluster.outcome = "Failed"
        with pytest.raises(OpsError):
            _restore(cluster)
        assert [w["spec"]["replicas"] for w in cluster.writers.values()] == [2, 1, 3]

    def test_cut_off_it_is_named_and_the_same_command_or_start_writers_goes_on(
        self, cluster: Cluster
    ) -> None:
        for cut_off in (("ado-api-gateway", 2), ("ado-orchestrator", 1)):
            cluster.cut_off_at = cut_off  # as it starts them again
            with pytest.raises(KeyboardInterrupt):
                _restore(cluster)
            (line,) = backups.cut_off(cluster)  # pyright: ignore[reportArgumentType]
            assert cut_off[0] in line
            assert "`ado-ops postgres start-writers`" in line
        cluster.cut_off_at = None
        writers.start(cluster, _silent)  # pyright: ignore[reportArgumentType]
        assert [w["spec"]["replicas"] for w in cluster.writers.values()] == [2, 1, 3]
        assert list(backups.cut_off(cluster)) == []  # pyright: ignore[reportArgumentType]

    def test_interrupted_it_starts_nobody_while_the_restore_goes_on(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(jobs, "outcome", interrupt)
        monkeypatch.setattr(backups, "names", lambda *_, **__: [NAME])
        with pytest.raises(KeyboardInterrupt):
            _restore(cluster)
        assert cluster.running_then == [0, 0, 3]
        assert [w["spec"]["replicas"] for w in cluster.writers.values()] == [0, 0, 3]

    def test_one_that_there_is_not_stops_nobody(self, cluster: Cluster) -> None:
        with pytest.raises(OpsError, match=r"There is no backup 20250101T030000Z.*--list"):
            _restore(cluster, "20250101T030000Z")
        assert (cluster.restores, cluster.scaled) == ([], [])

    def test_a_database_that_is_not_empty_stops_nobody(self, cluster: Cluster) -> None:
        cluster.tables = "runs, tasks"
        with pytest.raises(OpsError, match=r"not empty \(runs, tasks\); nobody was stopped"):
            _restore(cluster)
        assert (cluster.made, cluster.scaled) == ([], [])
        assert _restore(cluster, over=True) == "restored"

    def test_where_no_primary_serves_nobody_is_stopped(self, cluster: Cluster) -> None:
        cluster.serves = False
        with pytest.raises(OpsError, match="postgresql-1 does not run as the primary"):
            _restore(cluster, over=True)
        assert (cluster.made, cluster.scaled) == ([], [])

    def test_one_that_was_cut_off_goes_on_though_something_is_there_by_now(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backups, "names", lambda *_, **__: [NAME])
        writers.stop(cluster, _silent)  # pyright: ignore[reportArgumentType]
        cluster.tables = "runs"
        cluster.outcome = "Failed"  # as the script finds, once nobody writes
        with pytest.raises(OpsError, match="Job postgresql-restore: Failed"):
            _restore(cluster)
        assert [w["spec"]["replicas"] for w in cluster.writers.values()] == [2, 1, 3]

    def test_the_command_and_the_script_ask_the_same(self) -> None:
        script = resources.files("ado_infra.data.postgres") / "files" / "restore.sh"
        asked = " ".join(backups.TABLES.split())
        assert asked in " ".join(script.read_text().split())

    def test_it_is_tried_once_and_is_no_run_of_the_cron_job(self, cluster: Cluster) -> None:
        _restore(cluster)
        (job,) = cluster.restores
        assert job["spec"]["backoffLimit"] == 0
        assert "controller" not in job["metadata"]["ownerReferences"][0]

    def test_the_same_one_under_way_is_waited_for(self, cluster: Cluster) -> None:
        cluster.has("postgresql-restore", f"restore {NAME}")
        _restore(cluster)
        assert (cluster.made, cluster.deleted) == ([], [])

    @pytest.mark.parametrize("asked", [f"restore {NAME} --clean --if-exists", "restore other"])
    def test_another_one_under_way_is_left_alone(self, cluster: Cluster, asked: str) -> None:
        cluster.has("postgresql-restore", asked)
        with pytest.raises(OpsError, match=r"is under way .*; wait until it has ended"):
            _restore(cluster)
        assert (cluster.made, cluster.deleted) == ([], [])

    def test_one_that_has_ended_makes_room(self, cluster: Cluster) -> None:
        cluster.has("postgresql-restore", f"restore {NAME}", over=True)
        _restore(cluster)
        assert cluster.deleted[0] == "postgresql-restore"
        assert len(cluster.restores) == 1

    @pytest.mark.parametrize("name", ["latest", "../x", f"{NAME}; x", "", "20260102"])
    def test_what_is_no_name_is_refused(self, cluster: Cluster, name: str) -> None:
        with pytest.raises(OpsError, match="is no name of a backup"):
            _restore(cluster, name)
        assert cluster.made == []

    def test_the_backups_are_listed_by_a_job_that_goes_again(self, cluster: Cluster) -> None:
        cluster.says["list"] = f"some notice\n{cluster.says['list']}"
        assert _names(cluster) == [NAME, "20260101T030000Z"]
        (job,) = cluster.made
        assert "initContainers" not in _pod(job)
        (container,) = _pod(job)["containers"]
        assert container["command"][1:] == ["/etc/ado/config/list.sh"]
        assert cluster.deleted == ["postgresql-backups"]


class TestWithAddedContainers:
    """What a stack adds to the CronJob's pods is added to these too, and is not taken for ours."""

    RESOURCES = {side: {"cpu": "1", "memory": "1Gi"} for side in ("requests", "limits")}  # noqa: RUF012

    @pytest.fixture
    def cluster(self, monkeypatch: pytest.MonkeyPatch) -> Cluster:
        monkeypatch.setattr("ado_infra.ops.namespace.POLL", 0)
        added = {"image": "x/y:1", "resources": self.RESOURCES}
        pod = {
            "sidecars": [{"name": "mesh", **added}],
            "initContainers": [{"name": "wait", **added}],
        }
        backup = {"bucket": "backups", "pod": pod}
        return Cluster(_cron({"ado:postgres": {"backup": backup}}))

    def _steps(self, job: dict[str, Any]) -> list[tuple[str, str]]:
        pod = _pod(job)
        every = [*pod["initContainers"], *pod["containers"]]
        return [(each["name"], (each.get("command") or [""])[-1]) for each in every]

    def test_a_list_is_made_beside_them(self, cluster: Cluster) -> None:
        assert _names(cluster)
        (job,) = cluster.made
        listing = ("list", "/etc/ado/config/list.sh")
        assert self._steps(job) == [("mesh", ""), ("wait", ""), listing]

    def test_a_restore_is_made_beside_them(self, cluster: Cluster) -> None:
        assert _restore(cluster) == "restored"
        (job,) = cluster.restores
        steps = [("mesh", ""), ("wait", ""), ("download", NAME), ("restore", NAME)]
        assert self._steps(job) == steps


class TestFromAnotherStack:
    """A stack that is gone, or in another namespace, whose backups lie in the same bucket."""

    FORMER = "former/postgresql"

    def _reads(self, job: dict[str, Any], name: str) -> str:
        pod = _pod(job)
        (step,) = (
            c for c in [*pod.get("initContainers", []), *pod["containers"]] if c["name"] == name
        )
        told = {variable["name"]: variable.get("value") for variable in step["env"]}
        names = list(told)
        assert names.index("S3_BUCKET_BACKUPS") < names.index("REMOTE")  # which is made from it
        return str(told["REMOTE"])

    def test_its_backups_are_listed_and_restored_by_their_prefix(self, cluster: Cluster) -> None:
        bucket = "backup:$(S3_BUCKET_BACKUPS)"
        assert _names(cluster, self.FORMER) == [NAME, "20260101T030000Z"]
        _restore(cluster, prefix=self.FORMER)
        listed, seen, restored = cluster.made
        assert self._reads(seen, "list") == f"{bucket}/{self.FORMER}"
        assert self._reads(listed, "list") == f"{bucket}/{self.FORMER}"
        assert self._reads(restored, "download") == f"{bucket}/{self.FORMER}"
        _names(cluster)
        assert self._reads(cluster.made[-1], "list") == f"{bucket}/postgresql"

    def test_it_is_another_restore_than_that_of_the_same_name_here(self, cluster: Cluster) -> None:
        cluster.has("postgresql-restore", f"restore {NAME}")
        with pytest.raises(OpsError, match="is under way"):
            _restore(cluster, prefix=self.FORMER)
        assert cluster.made == []

    @pytest.mark.parametrize("prefix", ["", "../x", "/x", "x/", "x; y", "$(AWS_SECRET_ACCESS_KEY)"])
    def test_what_is_no_prefix_is_refused(self, cluster: Cluster, prefix: str) -> None:
        for command in (lambda: _names(cluster, prefix), lambda: _restore(cluster, prefix=prefix)):
            with pytest.raises(OpsError, match="is no prefix in a bucket"):
                command()
        assert cluster.made == []


class TestStatus:
    def _found(self, last: datetime | None, schedule: str = "0 3 * * *") -> list[str]:
        return list(backups.findings(Backups(schedule=schedule, last=last), NOW, "ado-system"))

    def test_what_the_cluster_knows_is_taken_over(self, cluster: Cluster) -> None:
        assert cluster.cron
        status = {"lastSuccessfulTime": "2026-01-08T03:00:41Z"}
        known: Callable[..., Backups | None] = backups.seen
        assert known(cluster) == Backups(schedule="0 3 * * *", last=None)
        cluster.cron = {**cluster.cron, "status": status}
        last = datetime(2026, 1, 8, 3, 0, 41, tzinfo=UTC)
        assert known(cluster) == Backups(schedule="0 3 * * *", last=last)
        cluster.cron = None
        assert known(cluster) is None

    def test_its_age_is_said(self) -> None:
        found = Backups(schedule="0 3 * * *", last=NOW - timedelta(hours=30, minutes=5))
        assert backups.described(found, NOW) == (
            "Last good backup: 2026-01-07 06:25 UTC, 30 h 5 min ago; schedule 0 3 * * * UTC"
        )
        none = Backups(schedule="0 3 * * *", last=None)
        assert "none yet" in backups.described(none, NOW)

    def test_none_is_a_finding(self) -> None:
        (line,) = self._found(None)
        assert line == "There is no good backup yet: `ado-ops postgres backup` makes one now."

    @pytest.mark.parametrize(
        ("hours", "schedule", "old"),
        [
            (9, "0 3 * * *", False),
            (32, "0 3 * * *", False),  # this morning's is missing
            (34, "0 3 * * *", True),  # and yesterday's
            (1, "0 * * * *", False),
            (2, "0 * * * *", True),
            (24 * 300, "0 0 1 1 *", False),
        ],
    )
    def test_one_that_two_should_have_followed_is_a_finding(
        self,
        hours: int,
        schedule: str,
        old: bool,  # noqa: FBT001
    ) -> None:
        found = self._found(NOW - timedelta(hours=hours), schedule)
        assert bool(found) == old
        assert all("Two backups were due since" in line for line in found)


class TestCommandLine:
    def _run(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
        monkeypatch.setattr(Target, "reach", lambda *_: cluster)
        monkeypatch.setattr(commands, "alone", lambda *_: nullcontext())
        return CliRunner().invoke(cli.app, ["postgres", *arguments, "--stack", "dev"])

    def test_a_dry_run_makes_nothing(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for arguments in (("backup",), ("restore", NAME), ("restore", NAME, "--into-non-empty")):
            done = self._run(cluster, monkeypatch, *arguments, "--dry-run")
            assert done.exit_code == 0
            assert done.stdout.startswith("1. ")
        done = self._run(cluster, monkeypatch, "restore", NAME, "--from", "a/b", "--dry-run")
        assert done.stdout.startswith(f"1. see that there is a backup {NAME} --from a/b\n")
        assert cluster.made == []

    def test_a_restore_wants_a_name(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done = self._run(cluster, monkeypatch, "restore")
        assert "restore --list" in str(done.exception)

    def test_the_names_are_printed(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        done = self._run(cluster, monkeypatch, "restore", "--list")
        assert done.stdout.split() == [NAME, "20260101T030000Z"]
        assert self._run(cluster, monkeypatch, "restore", "--list", "--from", "a/b").exit_code == 0
        assert cluster.made[-1]["metadata"]["annotations"] == {"ado.ops/asked": "list --from a/b"}
        cluster.says["list"] = ""
        assert "no backup" in self._run(cluster, monkeypatch, "restore", "--list").stdout
