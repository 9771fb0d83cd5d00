"""What a preview may read, what an environment costs: shipped and documented as it is."""

from __future__ import annotations

from typing import Any
from unittest import mock

import yaml

from ado_infra.kit.values import millicores, size_in_bytes
from ado_infra.policies import ALWAYS, IN_PRODUCTION
from ado_infra.render.objects import RenderedObject
from ado_infra.render.rendering import render
from tests.support.recording import ROOT, record_stack

PAGE = (ROOT / "docs" / "pull-requests.md").read_text()
RIGHTS = list(yaml.safe_load_all((ROOT / "deploy" / "preview-rights.yaml").read_text()))


def objects(stack: str) -> list[RenderedObject]:
    return list(render(ROOT, stack).objects)


def rules(name: str) -> list[dict[str, Any]]:
    (role,) = [
        each for each in RIGHTS if (each["kind"], each["metadata"]["name"]) == ("ClusterRole", name)
    ]
    found: list[dict[str, Any]] = role["rules"]
    return found


ON_DEMAND = {
    ("batch", "cronjobs"),  # a backup's
    ("external-secrets.io", "externalsecrets"),
    ("", "limitranges"),
    ("", "resourcequotas"),
}
"""Of what neither committed stack makes."""


def _plural(kind: str) -> str:
    return (
        kind.removesuffix("y") + "ies"
        if kind.endswith("y")
        else f"{kind}{'e' * kind.endswith('s')}s"
    )


def test_a_preview_may_read_every_kind_that_a_stack_makes() -> None:
    got = {
        (group, resource)
        for rule in rules("ado-preview")
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        if "get" in rule["verbs"]
    }
    made = {
        (
            str(each.manifest["apiVersion"]).rpartition("/")[0],
            _plural(each.kind.lower()),
        )
        for stack in ("dev", "prod")
        for each in objects(stack)
    }
    assert got - made == ON_DEMAND
    assert made <= got


def test_and_may_change_nothing() -> None:
    verbs = {
        verb
        for name in ("ado-preview", "ado-preview-definitions")
        for rule in rules(name)
        for verb in rule["verbs"]
    }
    assert verbs == {"get", "list"}


def test_a_preview_does_not_ask_for_definitions_and_plans_the_same_objects() -> None:
    with mock.patch("pulumi.runtime.is_dry_run", return_value=True):
        previewed = record_stack("dev")
    deployed = record_stack("dev")
    assert (previewed.read, len(deployed.read)) == ([], 1)
    assert previewed.keys() == deployed.keys()


def test_an_environment_costs_what_the_page_says() -> None:
    cpu = memory = volumes = 0
    for each in objects("pr"):
        if each.kind not in {"Deployment", "StatefulSet"}:
            continue
        spec = each.manifest["spec"]
        pods = spec.get("replicas", 1)  # an autoscaler's least, which is 1 here
        volumes += pods * len(spec.get("volumeClaimTemplates", ()))
        for container in spec["template"]["spec"]["containers"]:
            requests = container["resources"]["requests"]
            cpu += pods * millicores(requests["cpu"])
            memory += pods * size_in_bytes(requests["memory"])
    assert f"{cpu}m of CPU and {memory // 2**20}Mi of memory, and {volumes} volumes" in PAGE


def test_the_page_names_every_policy_where_it_applies() -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| `no_latest`"))
    always, production = row.strip("| ").split(" | ")
    for named, applied in ((always, ALWAYS), (production, IN_PRODUCTION)):
        assert named.replace("`", "").split(", ") == [rule.__name__ for rule in applied]
