"""Each program in `examples/`: what it makes, and that its folder is complete."""

from __future__ import annotations

import ast
import re
import textwrap

import kubernetes_validate
import pulumi
import pytest
import yaml

from ado_infra import load_stack
from tests.support.examples import FOLDER, NAMES, config, project, record_example, run
from tests.support.manifests import environment, pod, templates
from tests.support.recording import SECRETS, Recording, configure, settings_of, unwrapped
from tests.unit.data.test_external_stores import OF_POSTGRESQL, OF_REDIS

PASSWORD = "random:index/randomPassword:RandomPassword"
DIGEST_KEY = "random:index/randomBytes:RandomBytes"
WORKER, GATEWAY = "ado-worker", "ado-api-gateway"
OF_A_PLATFORM = {PASSWORD, "NetworkPolicy"}
"""What a store alone makes under another name, or not at all."""


def _alone(store: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {key for key in store if key[0] not in OF_A_PLATFORM}


MADE = {
    "worker-pool": {
        ("Deployment", WORKER),
        ("Service", WORKER),
        ("PodDisruptionBudget", f"{WORKER}-pdb"),
        ("HorizontalPodAutoscaler", f"{WORKER}-hpa"),
        ("ServiceAccount", WORKER),
    },
    "extra-container": {
        ("Deployment", GATEWAY),
        ("Service", GATEWAY),
        ("PodDisruptionBudget", f"{GATEWAY}-pdb"),
        ("HorizontalPodAutoscaler", f"{GATEWAY}-hpa"),
        ("ServiceAccount", GATEWAY),
    },
    "edge-alone": {("Ingress", "ado-ingress")},
    "postgres-alone": _alone(OF_POSTGRESQL)
    | {
        (PASSWORD, "database-password"),
        (PASSWORD, "database-replication-password"),
        (DIGEST_KEY, "database-passwords-digest-key"),
    },
    "redis-alone": _alone(OF_REDIS)
    | {(PASSWORD, "redis-password"), (DIGEST_KEY, "redis-password-digest-key")},
}
TIERS = {GATEWAY, "ado-dashboard", "ado-orchestrator", WORKER}
ONE_PART = ("worker-pool", "postgres-alone", "redis-alone", "edge-alone")


def _keys(recording: Recording) -> set[tuple[str, str]]:
    """What was made, a Job by what it is and not by its digest."""
    return {
        (kind, re.sub(r"-[0-9a-f]{10}$", "", name) if kind == "Job" else name)
        for kind, name in recording.keys()  # noqa: SIM118 - a method of its own
    }


def _namespaces(recording: Recording) -> set[str]:
    """Those that objects are in."""
    found = {unwrapped(r.inputs)["metadata"].get("namespace") for r in recording.objects}
    return {str(name) for name in found if name}


@pytest.mark.parametrize("example", MADE)
def test_a_part_makes_exactly_what_its_page_says(example: str) -> None:
    recording = record_example(example)
    assert _keys(recording) == MADE[example]
    assert _namespaces(recording) == {"shop"}
    assert not recording.warnings


def test_every_example_is_known_here() -> None:
    assert {*MADE, "external-stores", "two-platforms"} == set(NAMES)


def test_a_platform_on_external_stores_has_none_of_its_own() -> None:
    recording = record_example("external-stores")
    assert templates(recording).keys() == TIERS
    assert recording.only("Namespace")["metadata"]["name"] == "ado-external"
    assert environment(recording, WORKER)["REDIS_URL"] == "Secret ado-secrets/redis-url"


def test_a_missing_secret_is_demanded_with_what_works_in_every_project() -> None:
    configure({**config("external-stores"), "ado:slip": "1", "ado:edge.host": "x"}, SECRETS)
    with pytest.raises(pulumi.RunError) as refused:
        load_stack()
    commands = [line.strip() for line in str(refused.value).splitlines() if line.startswith("    ")]
    assert commands == [
        "pulumi config set --secret ado:databaseUrl",
        "pulumi config set --secret ado:redisUrl",
        "pulumi config rm ado:slip",
        "pulumi config rm ado:edge.host",
        "pulumi config set --path ado:edge.host VALUE",
    ]


def test_two_platforms_share_neither_namespace_nor_host_nor_buckets() -> None:
    recording = record_example("two-platforms")
    names = {"ado-blue", "ado-green"}
    assert {each["metadata"]["name"] for each in recording.of_kind("Namespace")} == names
    assert _namespaces(recording) == names
    hosts = {
        each["metadata"]["namespace"]: each["spec"]["rules"][0]["host"]
        for each in recording.of_kind("Ingress")
    }
    assert hosts == {name: f"{name.removeprefix('ado-')}.ado.example.com" for name in names}
    for deployment in recording.of_kind("Deployment"):
        name = deployment["metadata"]["namespace"].removeprefix("ado-")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        for variable in container.get("env", []):
            if variable["name"].startswith("S3_BUCKET_"):
                kind = variable["name"].removeprefix("S3_BUCKET_").lower()
                assert variable["value"] == f"{name}-{kind}"


def test_the_extra_container_runs_beside_the_gateway_as_its_page_writes_it_for_a_stack() -> None:
    recording = record_example("extra-container")
    gateway = pod(recording, GATEWAY)
    (cache,) = gateway["initContainers"]
    (own,) = gateway["containers"]
    assert (cache["name"], cache["restartPolicy"]) == ("cache", "Always")
    assert cache["securityContext"] == own["securityContext"]
    kubernetes_validate.validate(recording.only("Deployment"), "1.37", strict=True)
    page = (FOLDER / "extra-container" / "README.md").read_text().split("```")[0]
    indented = re.findall(r"^ {4}.+$", page, re.MULTILINE)
    changes = yaml.safe_load(textwrap.dedent("\n".join(indented)))
    assert settings_of("dev", changes).gateway.pod.sidecars == (run("extra-container")["cache"],)


@pytest.mark.parametrize("example", NAMES)
class TestFolder:
    def test_the_project_is_the_examples_own_with_what_every_program_sets(
        self, example: str
    ) -> None:
        said = project(example)
        assert said["name"] == example
        assert said["config"] == {
            f"kubernetes:enable{kind}Mutable": {"value": True} for kind in ("ConfigMap", "Secret")
        }
        assert all(key.startswith("ado:") for key in config(example))

    def test_its_requirements_are_those_of_all(self, example: str) -> None:
        files = {name: (FOLDER / name / "requirements.txt").read_text() for name in NAMES}
        assert len(set(files.values())) == 1
        wanted = [line for line in files[example].splitlines() if not line.startswith("#")]
        assert wanted == ["ado-infra", "pulumi"]

    def test_its_page_begins_with_the_environment_and_ends_with_up(self, example: str) -> None:
        page = (FOLDER / example / "README.md").read_text()
        lines = page.split("```")[1].strip().splitlines()
        assert lines[0].startswith("python3 -m venv .venv && ")
        assert lines[1] == "pulumi stack init dev"
        assert "pulumi up" in lines

    def test_it_is_on_the_page_of_all(self, example: str) -> None:
        assert f"]({example})" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("example", ONE_PART)
def test_a_part_alone_takes_twelve_lines(example: str) -> None:
    docstring, *rest = ast.parse((FOLDER / example / "__main__.py").read_text()).body
    assert isinstance(docstring, ast.Expr)
    lines = sum((each.end_lineno or 0) - each.lineno + 1 for each in rest)
    assert lines <= 12
