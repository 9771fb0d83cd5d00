"""A stack that gives a registry's user and password: the first `up` pulls its images."""

from __future__ import annotations

import base64
import json
from typing import Any

import pulumi
import pytest

from ado_infra import AdoPlatform, AdoPlatformArgs, StackSecrets, load_stack
from ado_infra.settings.stack import ImageSettings
from tests.support.manifests import templates
from tests.support.recording import (
    SECRETS,
    Recording,
    configure,
    merged,
    record,
    record_stack,
    secret_paths,
    settings_of,
    stack_config,
)

IMAGES = {"registry": "registry.example.com/ado", "registryUser": "robot$ado"}
BACKUP = {"backup": {"bucket": "backups"}}
CHANGES = {"ado:images": IMAGES, "ado:postgres": BACKUP, "ado:migrations": {"command": ["x"]}}
GIVEN = {**SECRETS, "ado:registryPassword": "canary"}


@pytest.fixture(scope="module")
def private() -> Recording:
    return record_stack("prod", changes=CHANGES, secrets=GIVEN)


def test_the_pull_secret_is_one_and_its_password_is_secret(private: Recording) -> None:
    (made,) = [each for each in private.objects if each.key == ("Secret", "ado-registry")]
    assert made.manifest["type"] == "kubernetes.io/dockerconfigjson"
    data = {key: base64.b64decode(text) for key, text in made.manifest["data"].items()}
    assert json.loads(data[".dockerconfigjson"]) == {
        "auths": {"registry.example.com": {"username": "robot$ado", "password": "canary"}}
    }
    assert all(path.startswith("data") for path in secret_paths(dict(made.inputs)))
    assert len(list(secret_paths(dict(made.inputs)))) >= 1


def test_every_pod_names_it_and_is_made_after_it(private: Recording) -> None:
    (secret,) = [each.urn for each in private.objects if each.key == ("Secret", "ado-registry")]
    named = {
        name: template["spec"].get("imagePullSecrets")
        for name, template in templates(private).items()
    }
    (cron,) = private.of_kind("CronJob")
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    named["backup"] = pod["imagePullSecrets"]
    assert len(named) == 10
    assert [name for name, pull in named.items() if pull != [{"name": "ado-registry"}]] == []
    kinds = {"Deployment", "StatefulSet", "Job", "CronJob"}
    workloads = [each for each in private.objects if each.key[0] in kinds]
    assert len(workloads) == len(named)
    assert [each.key for each in workloads if secret not in each.dependencies] == []


def _refusal(changes: dict[str, Any], secrets: dict[str, str]) -> str:
    configure(merged(stack_config("dev"), changes), secrets)
    with pytest.raises(pulumi.RunError) as refused:
        load_stack()
    return str(refused.value)


def test_user_and_password_belong_together() -> None:
    missing = _refusal({"ado:images": IMAGES}, SECRETS)
    assert "ado:registryPassword is missing; ado:images.registryUser demands it" in missing
    unread = _refusal({}, GIVEN)
    assert "ado:registryPassword is given and not read; there is no ado:images" in unread
    assert "canary" not in unread


def test_a_stack_has_one_pull_secret_and_a_user_without_a_password_in_it() -> None:
    both = _refusal({"ado:images": {**IMAGES, "pullSecret": "pull"}}, GIVEN)
    assert "ado:images: has pullSecret and registryUser" in both
    assert 'ado:images.registryUser = "a:b"' in _refusal(
        {"ado:images": {"registryUser": "a:b"}}, GIVEN
    )


def test_a_program_that_gives_a_user_alone_has_made_nothing() -> None:
    settings = settings_of("dev")
    images = settings.images.model_copy(update={"registry_user": "robot"})
    settings = settings.model_copy(update={"images": images})
    made = Recording()
    with pytest.raises(pulumi.RunError, match="registryPassword is missing"):
        record(
            lambda: AdoPlatform("a", AdoPlatformArgs(settings=settings, secrets=StackSecrets())),
            into=made,
        )
    assert made.resources == []


@pytest.mark.parametrize(
    ("registry", "host"),
    [
        ("ado", "https://index.docker.io/v1/"),
        ("docker.io/ado", "https://index.docker.io/v1/"),
        ("registry.example.com:5000/team/ado", "registry.example.com:5000"),
        ("localhost/ado", "localhost"),
    ],
)
def test_the_host_is_that_of_the_platforms_own_images(registry: str, host: str) -> None:
    assert ImageSettings(registry=registry).registry_host == host
