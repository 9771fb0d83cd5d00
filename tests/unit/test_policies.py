"""What every object must be like: each rule refuses something, and both stacks obey."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ado_infra.policies import ALWAYS, IN_PRODUCTION, Finding, findings, judge
from ado_infra.render.objects import RenderedObject
from ado_infra.render.rendering import render
from ado_infra.settings import Policy
from tests.support.recording import ROOT, merged
from tests.unit.render.test_render import committed, project

Objects = list[RenderedObject]


@cache
def rendered(stack: str) -> tuple[RenderedObject, ...]:
    return tuple(render(ROOT, stack).objects)


def test_dev_obeys_every_rule() -> None:
    assert findings(rendered("dev"), production=False) == []


def test_prod_as_committed_lacks_what_only_its_user_can_give() -> None:
    found = findings(rendered("prod"), production=True)
    assert {finding.rule for finding in found} == {"digests", "backup", "redis_replicas"}
    excused = {"digests": "no images yet", "backup": "no bucket yet", "redis_replicas": "3 hosts"}
    assert findings(rendered("prod"), production=True, excused=excused) == []


def _short(each: RenderedObject) -> str:
    """A Job without its digest."""
    return f"Job/{each.name.rpartition('-')[0]}" if each.kind == "Job" else ""


def changed(path: str, change: Callable[[dict[str, Any]], object], stack: str = "dev") -> Objects:
    """The objects of a stack, one manifest changed."""
    found = list(rendered(stack))
    (place,) = [n for n, o in enumerate(found) if path in {f"{o.kind}/{o.name}", _short(o)}]
    manifest = deepcopy(dict(found[place].manifest))
    change(manifest)
    found[place] = replace(found[place], manifest=manifest)
    return found


def pod(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return found


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pod(manifest)["containers"][0]
    return found


def term(manifest: dict[str, Any]) -> dict[str, Any]:
    """What keeps two pods from one host."""
    rules = pod(manifest)["affinity"]["podAntiAffinity"]
    found: dict[str, Any] = rules["preferredDuringSchedulingIgnoredDuringExecution"][0][
        "podAffinityTerm"
    ]
    return found


def security(manifest: dict[str, Any], **changes: Any) -> None:
    container(manifest)["securityContext"].update(changes)


WORKER = "Deployment/ado-worker"
JOB = "Job/postgresql-state-begin"
HOST_PATH = {"name": "h", "hostPath": {"path": "/"}}


@pytest.mark.parametrize(
    ("rule", "path", "change", "said"),
    [
        ("no_latest", WORKER, lambda m: container(m).update(image="ado/worker:latest"), "latest"),
        ("no_latest", WORKER, lambda m: container(m).update(image="r:5000/worker"), "'worker'"),
        (
            "no_latest",
            JOB,
            lambda m: pod(m)["initContainers"][0].update(image="x:latest"),
            "the tag that was tested",
        ),
        ("probes", WORKER, lambda m: container(m).pop("readinessProbe"), "no readinessProbe"),
        (
            "probes",
            "StatefulSet/redis",
            lambda m: container(m).pop("livenessProbe"),
            "no livenessProbe",
        ),
        (
            "resources",
            JOB,
            lambda m: container(m).pop("resources"),
            "no requests of cpu and memory",
        ),
        (
            "resources",
            WORKER,
            lambda m: container(m)["resources"]["limits"].pop("memory"),
            "no limits of memory",
        ),
        ("spread", WORKER, lambda m: pod(m).pop("affinity"), "set antiAffinity"),
        (
            "spread",
            WORKER,
            lambda m: term(m).update(topologyKey="topology.kubernetes.io/zone"),
            "set antiAffinity",
        ),
        (
            "spread",
            WORKER,
            lambda m: term(m)["labelSelector"]["matchLabels"].update(app="other"),
            "set antiAffinity",
        ),
        (
            "one_disruption_budget",
            "PodDisruptionBudget/ado-worker-pdb",
            lambda m: m["spec"]["selector"]["matchLabels"].update(app="other"),
            "no PodDisruptionBudget",
        ),
        (
            "one_disruption_budget",
            "PodDisruptionBudget/ado-worker-pdb",
            lambda m: m["spec"]["selector"]["matchLabels"].update(app="ado-dashboard"),
            "ado-dashboard-pdb and ado-worker-pdb select the same pods",
        ),
        ("restricted", WORKER, lambda m: pod(m).update(hostNetwork=True), "hostNetwork"),
        ("restricted", WORKER, lambda m: pod(m)["volumes"].append(HOST_PATH), "h is a hostPath"),
        ("restricted", WORKER, lambda m: security(m, runAsNonRoot=False), "may run as root"),
        ("restricted", WORKER, lambda m: security(m, runAsUser=0), "may run as root"),
        ("restricted", WORKER, lambda m: security(m, privileged=True), "is privileged"),
        (
            "restricted",
            JOB,
            lambda m: container(m).pop("securityContext"),
            "may gain privileges",
        ),
        ("restricted", WORKER, lambda m: security(m, capabilities={}), "keeps capabilities"),
        (
            "restricted",
            WORKER,
            lambda m: security(m, capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
            "adds capabilities",
        ),
        (
            "restricted",
            WORKER,
            lambda m: pod(m)["securityContext"].pop("seccompProfile"),
            "no seccomp profile",
        ),
        (
            "restricted",
            WORKER,
            lambda m: container(m)["ports"][0].update(hostPort=80),
            "a port of its host",
        ),
        (
            "no_secret_in_plain_sight",
            WORKER,
            lambda m: container(m)["env"].append({"name": "DB_PASSWORD", "value": "x"}),
            "DB_PASSWORD has its value here",
        ),
        (
            "no_secret_in_plain_sight",
            "ConfigMap/ado-config",
            lambda m: m["data"].update(url="redis://:x@redis:6379/0"),
            "a URL with a password",
        ),
        (
            "no_public_service",
            "Service/redis",
            lambda m: m["spec"].update(type="LoadBalancer"),
            "of type LoadBalancer",
        ),
        (
            "no_public_service",
            "Service/redis",
            lambda m: m["spec"].update(externalIPs=["192.0.2.1"]),
            "open to the outside",
        ),
        (
            "claims_are_kept",
            "StatefulSet/redis",
            lambda m: m["spec"].update(
                persistentVolumeClaimRetentionPolicy={"whenScaled": "Delete"}
            ),
            "retention policy",
        ),
    ],
)
def test_a_rule_refuses_what_breaks_it(
    rule: str, path: str, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    found = findings(changed(path, change), production=False)
    assert found
    assert {finding.rule for finding in found} == {rule}
    assert said in "\n".join(map(str, found))


def test_what_the_program_marks_secret_is_refused_outside_secrets() -> None:
    found = [
        replace(each, secrets=("data.a",)) if each.name == "ado-config" else each
        for each in rendered("dev")
    ]
    assert findings(found, production=False) == [
        Finding(
            "no_secret_in_plain_sight",
            "ConfigMap/ado-config",
            "data.a is secret; put it into a Secret",
        )
    ]


def test_production_is_asked_for_more() -> None:
    found = findings(rendered("dev"), production=True)
    assert {finding.rule for finding in found} == {rule.__name__ for rule in IN_PRODUCTION}
    protected = [finding.subject for finding in found if finding.rule == "protected_data"]
    assert protected == ["StatefulSet/postgresql", "StatefulSet/redis", "Namespace/ado-system"]


def test_an_image_with_a_digest_needs_no_tag() -> None:
    image = f"ado/worker@sha256:{'0' * 64}"
    objects = changed(WORKER, lambda m: container(m).update(image=image), "prod")
    found = findings(objects, production=True)
    assert not [finding for finding in found if finding.subject == WORKER]


def test_a_stack_that_sets_each_digest_that_it_is_told_to_has_no_tag(tmp_path: Path) -> None:
    config = committed("prod")
    config["ado:workerPools"] |= {"gpu": {"image": {"tag": "0.1.0"}}}
    config["ado:postgres"] = {"backup": {"bucket": "backups"}}
    config["ado:migrations"] = {"command": ["migrate"], "image": {"tag": "0.1.0"}}

    def remedies() -> list[str]:
        objects = render(project(tmp_path, stack="prod", config=config), "prod").objects
        found = findings(objects, production=True)
        return [finding.remedy for finding in found if finding.rule == "digests"]

    settings = {remedy.partition("; set ado:")[2].partition(".digest ")[0] for remedy in remedies()}
    assert len(settings) == 10
    for setting in settings:
        section, *keys = setting.split(".")
        value: dict[str, Any] = {"digest": f"sha256:{'0' * 64}", "tag": None}
        for key in reversed(keys):
            value = {key: value}
        config = merged(config, {f"ado:{section}": value})
    assert remedies() == []


def test_an_image_of_another_name_is_told_its_setting_too(tmp_path: Path) -> None:
    config = committed("prod")
    image = {"repository": "registry.example.com/data/pgvector", "tag": "1"}
    config["ado:postgres"] = {"image": image, "backup": {"bucket": "backups"}}
    objects = render(project(tmp_path, stack="prod", config=config), "prod").objects
    remedies = {
        finding.remedy
        for finding in findings(objects, production=True)
        if finding.rule == "digests" and "pgvector" in finding.remedy
    }
    assert {remedy.partition("; set ")[2].partition(" instead")[0] for remedy in remedies} == {
        "ado:postgres.image.digest"
    }


def test_the_digest_of_a_container_that_is_added_is_the_stacks_to_give(tmp_path: Path) -> None:
    resources = {side: {"cpu": "1", "memory": "1Gi"} for side in ("requests", "limits")}
    added = {"image": "x/y:1", "resources": resources}
    config = committed("prod")
    config["ado:postgres"] = {"backup": {"bucket": "backups"}}
    config["ado:pods"] = {
        "sidecars": [{"name": "mesh", **added}],
        "initContainers": [{"name": "wait", **added}],
    }
    found = findings(
        render(project(tmp_path, stack="prod", config=config), "prod").objects, production=True
    )
    said = {each.remedy for each in found if each.remedy.startswith("x/y:1 is a tag")}
    assert said == {
        "x/y:1 is a tag, which can be moved; set a digest in the image of "
        f"{where} instead of the tag"
        for where in ("mesh among pod.sidecars", "wait among pod.initContainers")
    }


def test_an_excuse_has_a_word_and_something_to_excuse() -> None:
    excused = {"backup": " ", "spread": "one host"}
    found = findings(rendered("prod"), production=True, excused=excused)
    assert Finding("backup", "", "is waived without a reason; give one") in found
    assert Finding("spread", "", "is waived and not broken; remove the waiver") in found
    assert [each for each in found if each.rule == "backup" and each.subject]


def test_every_rule_has_a_name_of_its_own_and_says_what_it_is_for() -> None:
    rules = (*ALWAYS, *IN_PRODUCTION)
    assert len({rule.__name__ for rule in rules}) == len(rules)
    assert all(rule.__doc__ for rule in rules)


def test_what_is_excused_is_kept_with_its_reason_and_all_that_it_excuses() -> None:
    without = judge(rendered("prod"), production=True)
    judged = judge(rendered("prod"), production=True, excused={"digests": "no images\nyet"})
    (waiver,) = judged.waivers
    assert waiver.rule == "digests"
    assert waiver.excuses == tuple(each for each in without.findings if each.rule == "digests")
    assert {each.rule for each in judged.findings} == {"backup", "redis_replicas"}
    assert str(waiver).startswith("digests: waived for Deployment/ado-api-gateway, ")
    assert str(waiver).endswith(": no images yet")
    assert not without.waivers


def test_what_two_containers_of_a_pod_share_is_said_once() -> None:
    found = findings(rendered("prod"), production=True)
    assert len(found) == len(set(found))


def test_the_settings_know_every_rule_and_no_other() -> None:
    assert list(Policy) == [rule.__name__ for rule in (*ALWAYS, *IN_PRODUCTION)]
