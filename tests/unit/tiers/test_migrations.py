"""Migrations: when there is another Job, and who waits for it."""

from __future__ import annotations

import re
import time
from typing import Any

import kubernetes_validate
import pulumi
import pytest

from ado_infra.data.endpoints import DatabaseEndpoint
from ado_infra.kit.sources import SecretKey
from ado_infra.settings import MigrationSettings, OrchestratorSettings
from ado_infra.site import Site
from ado_infra.tiers.migrations import Migrations, MigrationsArgs
from tests.support.manifests import container, directories, environment
from tests.support.recording import SECRETS, Recording, record, record_stack

COMMAND = ["ado", "migrate"]


def _migrations(
    *, orchestrator: str = "1.0", digest: str = "d", host: str = "postgresql", **given: Any
) -> Recording:
    image = {"tag": orchestrator}
    settings = MigrationSettings.model_validate({"command": ("ado", "migrate"), **given})
    args = MigrationsArgs(
        site=Site("ado", namespace="ado-system"),
        settings=settings,
        orchestrator=OrchestratorSettings.model_validate({"image": image}),
        database=DatabaseEndpoint(url=SecretKey(secret="ado-secrets", key="u", digest=digest)),
        database_settings={"host": host},
    )
    return record(lambda: Migrations("migrations", args) and None)


def _name(recording: Recording) -> str:
    return str(recording.only("Job")["metadata"]["name"])


def _of_stack(stack: Recording) -> str:
    names = {job["metadata"]["name"] for job in stack.of_kind("Job")}
    (name,) = [name for name in names if name.startswith("ado-migrations-")]
    return str(name)


@pytest.fixture(scope="module")
def migrated() -> Recording:
    return record_stack("dev", changes={"ado:migrations": {"command": COMMAND}})


def test_a_stack_that_names_no_command_has_none(stack: Recording) -> None:
    assert not [resource for resource in stack.resources if "migrations" in resource.name]


def test_they_are_one_job_more_its_account_and_policy(dev: Recording, migrated: Recording) -> None:
    assert migrated.keys() - dev.keys() == {
        ("Job", _of_stack(migrated)),
        ("ServiceAccount", "ado-migrations"),
        ("NetworkPolicy", "migrations-netpol"),
    }
    assert re.fullmatch(r"ado-migrations-[0-9a-f]{10}", _of_stack(migrated))


def test_the_job_is_valid_and_runs_the_command_on_the_database(migrated: Recording) -> None:
    name = _of_stack(migrated)
    job = migrated.get("Job", name)
    kubernetes_validate.validate(job, "1.37", strict=True)
    # A refresh would miss a Job that deletes itself, and run it again.
    assert "ttlSecondsAfterFinished" not in job["spec"]
    assert job["spec"]["activeDeadlineSeconds"] == 600
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert container(migrated, name)["command"] == COMMAND
    assert container(migrated, name)["image"] == "ado/orchestrator:0.1.0"
    assert environment(migrated, name) == {"DATABASE_URL": "Secret ado-secrets/database-url"}
    assert set(directories(migrated, name)) == {"/tmp"}  # noqa: S108 - the pod's own
    assert "app" not in job["spec"]["template"]["metadata"]["labels"]


def test_they_wait_for_postgresql_and_the_applications_for_them() -> None:
    class Slow(Recording):
        def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
            if args.typ.endswith((":StatefulSet", ":Job")):
                time.sleep(0.2)
            return super().new_resource(args)

    stack = record_stack("dev", changes={"ado:migrations": {"command": COMMAND}}, into=Slow())
    made = [resource.key for resource in stack.resources]
    job = made.index(("Job", _of_stack(stack)))
    assert made.index(("StatefulSet", "postgresql")) < job
    for name in ("ado-api-gateway", "ado-orchestrator", "ado-worker"):
        assert job < made.index(("Deployment", name))
    assert made.index(("Deployment", "ado-dashboard")) < job  # it uses no database


@pytest.mark.parametrize(
    "changed",
    [
        {"orchestrator": "1.1"},
        {"command": ("ado", "migrate", "--all")},
        {"command": ("ado migrate",)},
        {"image": {"name": "migrations", "tag": "1.0"}},
        {"host": "elsewhere"},
    ],
    ids=["orchestrator", "argument", "word", "image", "database"],
)
def test_another_image_command_or_database_is_another_job(changed: dict[str, Any]) -> None:
    assert _name(_migrations(**changed)) != _name(_migrations())


@pytest.mark.parametrize(
    "changed", [{"digest": "other"}, {"timeout": 9}], ids=["digest", "timeout"]
)
def test_a_changed_password_or_timeout_runs_nothing(changed: dict[str, Any]) -> None:
    assert _name(_migrations(**changed)) == _name(_migrations())
    (job,) = (each for each in _migrations(**changed).objects if each.key[0] == "Job")
    assert job.ignored == ("spec",)


def test_a_changed_password_of_a_stack_runs_nothing(migrated: Recording) -> None:
    changed = record_stack(
        "dev",
        changes={"ado:migrations": {"command": COMMAND}},
        secrets={**SECRETS, "ado:databasePassword": "another"},
    )
    for job in migrated.of_kind("Job"):
        assert changed.get("Job", job["metadata"]["name"]) == job


def test_an_image_of_their_own_comes_from_the_platforms_registry() -> None:
    recording = _migrations(image={"name": "schema", "tag": "7"})
    assert container(recording, _name(recording))["image"] == "ado/schema:7"


def test_an_image_without_a_name_is_another_version_of_the_orchestrators() -> None:
    recording = _migrations(image={"tag": "7"})
    assert container(recording, _name(recording))["image"] == "ado/orchestrator:7"
