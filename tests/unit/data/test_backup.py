"""PostgreSQL's backup: what it is made of."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pulumi
import pytest

from ado_infra.secrets import ObjectStorageCredentials
from ado_infra.settings import BackupSettings
from tests.support.manifests import changes, selects, told
from tests.support.recording import (
    SECRETS,
    Recording,
    record,
    record_stack,
    secret_paths,
    unwrapped,
)

BACKUP = {"bucket": "ado-backups"}
SECTION = {"ado:postgres": {"backup": BACKUP}}
OBJECTS = {
    *((kind, "postgresql-backup") for kind in ("ConfigMap", "CronJob", "ServiceAccount")),
    ("NetworkPolicy", "postgresql-backup-netpol"),
}


@pytest.fixture(scope="module")
def backed_up() -> Recording:
    return record_stack("prod", changes=SECTION)


def _job(stack: Recording) -> dict[str, Any]:
    return dict(stack.only("CronJob")["spec"]["jobTemplate"]["spec"])


def _pod(stack: Recording) -> dict[str, Any]:
    return dict(_job(stack)["template"]["spec"])


def _steps(stack: Recording) -> dict[str, dict[str, Any]]:
    """Both containers, in the order in which they run."""
    pod = _pod(stack)
    (first,), (last,) = pod["initContainers"], pod["containers"]
    return {"dump": first, "upload": last}


def _mounted(step: dict[str, Any]) -> dict[str, str]:
    return {mount["name"]: mount["mountPath"] for mount in step["volumeMounts"]}


KEYS = {"ado:backupAccessKey": "AKIA-backup", "ado:backupSecretKey": "backup-canary"}


class TestKeys:
    def test_shared_with_workers_they_are_a_warning_in_every_preview(
        self, backed_up: Recording
    ) -> None:
        (warning,) = (w for w in backed_up.warnings if "can delete every backup" in w)
        assert warning.splitlines()[1:] == [
            "    pulumi config set --secret ado:backupAccessKey",
            "    pulumi config set --secret ado:backupSecretKey",
        ]

    def test_those_of_its_own_are_read_by_the_upload_alone(self) -> None:
        stack = record_stack("prod", changes=SECTION, secrets=SECRETS | KEYS)
        assert not [w for w in stack.warnings if "delete every backup" in w]
        given = {
            "AWS_ACCESS_KEY_ID": "Secret postgresql-backup/access-key",
            "AWS_SECRET_ACCESS_KEY": "Secret postgresql-backup/secret-key",
        }
        assert given.items() <= told(_steps(stack)["upload"]).items()
        assert "postgresql-backup/" not in str(told(_steps(stack)["dump"]))
        for workload in ("ado-worker", "ado-orchestrator"):
            assert "postgresql-backup" not in str(stack.get("Deployment", workload))

    def test_half_of_them_or_any_without_a_backup_are_refused(self) -> None:
        (half, _) = KEYS
        with pytest.raises(
            pulumi.RunError, match=r"backupSecretKey is missing; the other of the two"
        ):
            record_stack("prod", changes=SECTION, secrets=SECRETS | {half: "AKIA"})
        with pytest.raises(
            pulumi.RunError, match=r"backupAccessKey is given and not read; there is"
        ):
            record_stack("prod", secrets=SECRETS | KEYS)

    @pytest.mark.parametrize("half", ["access_key", "secret_key"])
    def test_half_of_them_in_a_program_is_refused(self, half: str) -> None:
        (other,) = {"access_key", "secret_key"} - {half}

        def program() -> None:
            ObjectStorageCredentials(**{half: pulumi.Output.secret("canary")})

        with pytest.raises(pulumi.RunError, match=f"has {half} and no {other}; give both"):
            record(program, into=Recording())


class TestObjects:
    def test_without_the_setting_there_is_none(self, stack: Recording) -> None:
        assert not OBJECTS & stack.keys()

    def test_with_it_there_are_three_objects_more_and_nothing_else_changes(
        self, prod: Recording, backed_up: Recording
    ) -> None:
        assert backed_up.keys() - prod.keys() == OBJECTS
        assert prod.keys() < backed_up.keys()
        before = {r.key: r.manifest for r in prod.objects}
        changed = {r.key for r in backed_up.objects if r.manifest != before.get(r.key, r.manifest)}
        assert changed == {("NetworkPolicy", "postgresql-netpol")}  # lets it in

    def test_they_are_valid_under_the_strict_schema(self, backed_up: Recording) -> None:
        for kind, name in OBJECTS:
            kubernetes_validate.validate(backed_up.get(kind, name), "1.37", strict=True)

    def test_one_run_at_a_time_and_none_is_tried_for_ever(self, backed_up: Recording) -> None:
        cron, job = backed_up.only("CronJob")["spec"], _job(backed_up)
        assert (cron["schedule"], cron["timeZone"]) == ("0 3 * * *", "Etc/UTC")
        assert cron["concurrencyPolicy"] == "Forbid"
        # More than a hundred missed runs within it would end the schedule.
        assert 60 <= cron["startingDeadlineSeconds"] <= 100 * 60
        assert (cron["successfulJobsHistoryLimit"], cron["failedJobsHistoryLimit"]) == (3, 3)
        assert (job["backoffLimit"], job["activeDeadlineSeconds"]) == (2, 21600)
        assert _pod(backed_up)["restartPolicy"] == "Never"

    def test_nothing_selects_its_pods(self, backed_up: Recording) -> None:
        labels = _job(backed_up)["template"]["metadata"]["labels"]
        assert "app" not in labels
        assert labels["app.kubernetes.io/component"] == "postgresql-backup"
        for service in backed_up.of_kind("Service"):
            assert not selects(service["spec"]["selector"], labels)

    @pytest.mark.parametrize(
        ("setting", "value", "where"),
        [
            ("schedule", "*/30 1-5 * * mon", "spec.schedule"),
            ("retention", 30, "containers[0].env[2].value"),
            ("bucket", "other", "containers[0].env[3].value"),
            ("prefix", "a/b", "containers[0].env[4].value"),
        ],
    )
    def test_a_changed_setting_changes_the_cron_job_in_one_place(
        self, backed_up: Recording, setting: str, value: object, where: str
    ) -> None:
        changed = record_stack(
            "prod", changes={"ado:postgres": {"backup": BACKUP | {setting: value}}}
        )
        ((key, (path,)),) = changes(backed_up, changed).items()
        assert key == ("CronJob", "postgresql-backup")
        assert path.endswith(where)

    def test_a_larger_volume_changes_what_a_dump_and_its_pod_may_hold(
        self, backed_up: Recording
    ) -> None:
        backup = {"ado:postgres": {"backup": BACKUP | {"volume": "1Ti"}}}
        ((key, paths),) = changes(backed_up, record_stack("prod", changes=backup)).items()
        assert key == ("CronJob", "postgresql-backup")
        ends = {path.rpartition("template.spec.")[2] for path in paths}
        assert ends == {
            "volumes[1].emptyDir.sizeLimit",
            "initContainers[0].resources.limits.ephemeral-storage",
            "containers[0].resources.limits.ephemeral-storage",
        }

    def test_what_both_steps_may_use_is_a_setting(self, backed_up: Recording) -> None:
        amounts = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "11Gi"}
        resources = {"requests": amounts, "limits": amounts}
        backup = {"ado:postgres": {"backup": BACKUP | {"resources": resources}}}
        changed = record_stack("prod", changes=backup)
        assert changes(backed_up, changed).keys() == {("CronJob", "postgresql-backup")}
        assert [step["resources"] for step in _steps(changed).values()] == [resources] * 2

    def test_every_setting_has_a_default_but_the_bucket(self) -> None:
        required = [n for n, field in BackupSettings.model_fields.items() if field.is_required()]
        assert required == ["bucket"]


class TestPod:
    def test_it_dumps_with_the_servers_image_and_uploads_with_rclones(
        self, backed_up: Recording
    ) -> None:
        images = {name: step["image"] for name, step in _steps(backed_up).items()}
        assert images == {
            "dump": "docker.io/library/postgres:17.12-trixie",
            "upload": "docker.io/rclone/rclone:1.76.0",
        }
        elsewhere = {"mirror": "m.example.com/official", "rclone": "m.example.com/rclone"}
        moved = record_stack(
            "prod", changes={**SECTION, "ado:images": elsewhere | {"pullSecret": "p"}}
        )
        assert _steps(moved)["dump"]["image"] == "m.example.com/official/postgres:17.12-trixie"
        assert _steps(moved)["upload"]["image"] == "m.example.com/rclone/rclone:1.76.0"
        assert _pod(moved)["imagePullSecrets"] == [{"name": "p"}]

    def test_it_is_hardened(self, backed_up: Recording) -> None:
        pod = _pod(backed_up)
        assert pod["automountServiceAccountToken"] is False
        assert pod["serviceAccountName"] == "postgresql-backup"
        security = pod["securityContext"]
        assert {security[f"{who}"] for who in ("runAsUser", "runAsGroup", "fsGroup")} == {999}
        assert security["runAsNonRoot"] is True
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for step in _steps(backed_up).values():
            assert step["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
            }
            amounts = {kind: set(step["resources"][kind]) for kind in step["resources"]}
            assert amounts == {
                kind: {"cpu", "memory", "ephemeral-storage"} for kind in ("requests", "limits")
            }

    def test_the_steps_share_the_dump_and_the_password_is_the_first_ones_alone(
        self, backed_up: Recording
    ) -> None:
        volumes = {v["name"]: v for v in _pod(backed_up)["volumes"]}
        dump, upload = _steps(backed_up).values()
        assert _mounted(dump).keys() == volumes.keys()
        assert _mounted(dump).keys() - _mounted(upload).keys() == {"passfile", "passwords"}
        assert _mounted(dump)["backup"] == _mounted(upload)["backup"] == told(dump)["BACKUP"]
        assert volumes["backup"]["emptyDir"] == {"sizeLimit": "10Gi"}
        assert volumes["passfile"]["emptyDir"]["medium"] == "Memory"
        assert told(dump)["PGPASSFILE"].startswith(_mounted(dump)["passfile"] + "/")
        assert volumes["passwords"]["secret"]["secretName"] == "postgresql"

    def test_the_dump_is_of_the_primary(self, backed_up: Recording) -> None:
        given = told(_steps(backed_up)["dump"])
        assert {name: value for name, value in given.items() if name.startswith("PG")} == {
            "PGCONNECT_TIMEOUT": "10",
            "PGDATABASE": "ado",
            "PGHOST": "postgresql",
            "PGPASSFILE": "/run/passfile/pgpass",
            "PGPORT": "5432",
            "PGUSER": "ado",
        }

    def test_it_goes_to_the_stacks_object_storage(self, backed_up: Recording) -> None:
        given = told(_steps(backed_up)["upload"])
        # As Kubernetes fills it in: from the variables before it.
        names = list(given)
        assert names.index("S3_BUCKET_BACKUPS") < names.index("REMOTE")
        assert given["S3_BUCKET_BACKUPS"] == "ado-backups"
        assert given["REMOTE"] == "backup:$(S3_BUCKET_BACKUPS)/postgresql"
        assert given["RCLONE_CONFIG_BACKUP_ENDPOINT"] == "https://s3.us-east-1.amazonaws.com"
        assert given["RCLONE_CONFIG_BACKUP_REGION"] == "us-east-1"
        assert given["AWS_ACCESS_KEY_ID"] == "Secret ado-object-storage/access-key"
        assert given["AWS_SECRET_ACCESS_KEY"] == "Secret ado-object-storage/secret-key"

    @pytest.mark.parametrize(
        ("given", "told_to_rclone"), [({}, "Other"), ({"provider": "GCS"}, "GCS")]
    )
    def test_rclone_is_told_whose_service_it_is(
        self, given: dict[str, str], told_to_rclone: str
    ) -> None:
        stack = record_stack("dev", changes={**SECTION, "ado:objectStorage": given})
        assert told(_steps(stack)["upload"])["RCLONE_CONFIG_BACKUP_PROVIDER"] == told_to_rclone

    def test_without_keys_it_proves_who_it_is_as_the_other_pods_do(self) -> None:
        given = told(_steps(record_stack("dev", changes=SECTION, secrets={}))["upload"])
        assert not [name for name in given if name.startswith("AWS_")]
        assert given["RCLONE_CONFIG_BACKUP_ENV_AUTH"] == "true"

    def test_no_secret_is_in_it(self) -> None:
        passwords = {"ado:databasePassword": "database-canary"}
        stack = record_stack("prod", changes=SECTION, secrets={**SECRETS, **passwords})
        for resource in stack.objects:
            if resource.key in OBJECTS:
                assert list(secret_paths(dict(resource.inputs))) == []
                assert "canary" not in str(unwrapped(resource.inputs))
