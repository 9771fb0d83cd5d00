"""The stack files of known homes: right in themselves, valid for Kubernetes, fit for production."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft7Validator

from ado_infra import load_stack
from ado_infra.gaps import gaps
from ado_infra.policies import findings
from ado_infra.render.objects import RenderedObject
from ado_infra.render.rendering import render
from ado_infra.schema import stack_schema
from tests.support.recording import ROOT, SECRETS, configure
from tests.unit.render.test_render import project

FILES = sorted((ROOT / "examples" / "homes").glob("Pulumi.*.yaml"))
HOMES = [path.name.split(".")[1] for path in FILES]
PAGE = (ROOT / "docs" / "homes.md").read_text()
IDENTITY = {"eks"}
"""Where no key of the object storage is given."""


def _config(home: str) -> dict[str, Any]:
    path = ROOT / "examples" / "homes" / f"Pulumi.{home}.yaml"
    return dict(yaml.safe_load(path.read_text())["config"])


@cache
def _objects(home: str, directory: Path) -> list[RenderedObject]:
    return list(render(project(directory, stack=home, config=_config(home)), home).objects)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


def _get(objects: list[RenderedObject], kind: str, name: str) -> dict[str, Any]:
    (found,) = (each for each in objects if (each.kind, each.name) == (kind, name))
    return dict(found.manifest)


def test_there_is_one_of_each() -> None:
    assert HOMES == ["aks", "bare-metal", "eks", "gke", "openshift"]


@pytest.mark.parametrize("home", HOMES)
def test_it_keeps_the_schema_and_the_policies_of_production(home: str, directory: Path) -> None:
    file = {"config": _config(home)}
    assert [error.message for error in Draft7Validator(stack_schema()).iter_errors(file)] == []
    objects = _objects(home, directory)
    for each in objects:
        if "monitoring.coreos.com" not in str(each.manifest["apiVersion"]):
            kubernetes_validate.validate(dict(each.manifest), "1.37", strict=True)
    assert {finding.rule for finding in findings(objects, production=True)} == {"digests"}


@pytest.mark.parametrize("home", HOMES)
def test_production_is_content_with_it_and_warns_of_nothing_but_nginxs_own(home: str) -> None:
    secrets = {key: value for key, value in SECRETS.items() if "objectStorage" not in key}
    given = secrets if home in IDENTITY else SECRETS
    if "registryUser" in str(_config(home)):
        given = {**given, "ado:registryPassword": "registry-canary"}
    backup = {"ado:backupAccessKey": "AKIA-backup", "ado:backupSecretKey": "backup-canary"}
    configure(_config(home), given if home in IDENTITY else {**given, **backup})
    told = [gap for gap in gaps(*load_stack()) if "cannot be told to the controller" not in gap]
    assert told == []


@pytest.mark.parametrize("home", HOMES)
def test_its_file_and_its_page_say_that_it_was_not_run(home: str) -> None:
    text = (ROOT / "examples" / "homes" / f"Pulumi.{home}.yaml").read_text()
    assert "Not run " in text.splitlines()[1]
    assert f"homes/Pulumi.{home}.yaml)" in PAGE
    assert "None of them was run on the real thing" in PAGE


def test_on_eks_pods_reach_the_buckets_by_their_roles_and_no_key(directory: Path) -> None:
    objects = _objects("eks", directory)
    for name in ("ado-orchestrator", "ado-worker", "postgresql-backup"):
        account = _get(objects, "ServiceAccount", name)
        assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]
    assert "AWS_ACCESS_KEY_ID" not in str([each.manifest for each in objects])


def test_on_autopilot_pods_request_what_their_directories_may_hold(directory: Path) -> None:
    objects = _objects("gke", directory)
    worker = _get(objects, "Deployment", "ado-worker")["spec"]["template"]["spec"]
    schedule = _get(objects, "CronJob", "postgresql-backup")["spec"]["jobTemplate"]["spec"]
    for pod in (worker, schedule["template"]["spec"]):
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            resources = container["resources"]
            asked = resources["requests"]["ephemeral-storage"]
            assert asked == resources["limits"]["ephemeral-storage"] == "9Gi"


def test_on_openshift_no_pod_says_who_runs_it(directory: Path) -> None:
    for each in _objects("openshift", directory):
        for key in ("runAsUser", "runAsGroup", "fsGroup"):
            assert f"'{key}'" not in str(each.manifest), each.name


def test_on_openshift_the_project_is_somebody_elses(directory: Path) -> None:
    objects = _objects("openshift", directory)
    assert "Namespace" not in {each.kind for each in objects}
    assert {each.manifest["metadata"]["namespace"] for each in objects} == {"ado"}
