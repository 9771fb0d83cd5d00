"""The whole platform, as each committed stack composes it."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

from ado_infra import AdoPlatform, AdoPlatformArgs, AgentCredentials, Settings
from tests.unit.recording import Recording, record, record_stack, secret_paths

EXACTLY = {
    ("Namespace", "ado-system"),
    ("random:index/randomBytes:RandomBytes", "ado-digest-key"),
    ("ConfigMap", "ado-config"),
    ("Secret", "ado-agent-credentials"),
    ("Deployment", "ado-api-gateway"),
    ("Service", "ado-api-gateway"),
    ("HorizontalPodAutoscaler", "ado-api-gateway-hpa"),
    ("PodDisruptionBudget", "ado-api-gateway-pdb"),
    ("Deployment", "ado-dashboard"),
    ("Service", "ado-dashboard"),
    ("PodDisruptionBudget", "ado-dashboard-pdb"),
}


def _pods(stack: Recording) -> dict[str, dict[str, Any]]:
    return {d["metadata"]["name"]: d["spec"]["template"] for d in stack.of_kind("Deployment")}


def _selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def _differing(before: Recording, after: Recording) -> set[tuple[str, str]]:
    olds = {resource.key: resource.manifest for resource in before.objects}
    news = {resource.key: resource.manifest for resource in after.objects}
    assert olds.keys() == news.keys()
    return {key for key in olds if olds[key] != news[key]}


def test_a_stack_is_exactly_these_objects(stack: Recording) -> None:
    assert stack.keys() == EXACTLY


def test_every_object_is_valid_under_the_strict_schema(stack: Recording) -> None:
    for manifest in (resource.manifest for resource in stack.objects):
        kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_every_object_carries_the_common_labels(stack: Recording) -> None:
    for manifest in (resource.manifest for resource in stack.objects):
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "ado"
        assert labels["app.kubernetes.io/part-of"] == "ado"
        assert labels["app.kubernetes.io/instance"] == "ado"
        assert labels["app.kubernetes.io/managed-by"] == "pulumi"
        assert labels["app.kubernetes.io/component"]
        assert "app.kubernetes.io/version" not in labels


def test_everything_is_in_the_platforms_namespace(stack: Recording) -> None:
    for resource in stack.objects:
        if resource.key[0] != "Namespace":
            assert resource.manifest["metadata"]["namespace"] == "ado-system"


def test_the_namespace_enforces_restricted_pods(stack: Recording) -> None:
    labels = stack.get("Namespace", "ado-system")["metadata"]["labels"]
    assert {labels[f"pod-security.kubernetes.io/{m}"] for m in ("enforce", "audit", "warn")} == {
        "restricted"
    }


def test_a_selector_is_the_workloads_name_alone_and_matches_nothing_else(stack: Recording) -> None:
    pods = _pods(stack)
    for deployment in stack.of_kind("Deployment"):
        name = deployment["metadata"]["name"]
        assert deployment["spec"]["selector"] == {"matchLabels": {"app": name}}
    services = [(s["metadata"]["name"], s["spec"]["selector"]) for s in stack.of_kind("Service")]
    budgets = [
        (p["metadata"]["name"].removesuffix("-pdb"), p["spec"]["selector"]["matchLabels"])
        for p in stack.of_kind("PodDisruptionBudget")
    ]
    for name, selector in services + budgets:
        matched = [w for w, pod in pods.items() if _selects(selector, pod["metadata"]["labels"])]
        assert matched == [name]


def test_every_pod_is_under_exactly_one_disruption_budget(stack: Recording) -> None:
    budgets = [p["spec"]["selector"]["matchLabels"] for p in stack.of_kind("PodDisruptionBudget")]
    for pod in _pods(stack).values():
        assert sum(_selects(budget, pod["metadata"]["labels"]) for budget in budgets) == 1


def test_replicas_are_absent_where_an_autoscaler_owns_them(stack: Recording) -> None:
    scaled = {h["spec"]["scaleTargetRef"]["name"] for h in stack.of_kind("HorizontalPodAutoscaler")}
    for deployment in stack.of_kind("Deployment"):
        assert ("replicas" in deployment["spec"]) == (deployment["metadata"]["name"] not in scaled)


def test_every_pod_is_hardened(stack: Recording) -> None:
    for pod in _pods(stack).values():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        }


def test_metrics_can_be_found_by_label_and_port_name(stack: Recording) -> None:
    for service in stack.of_kind("Service"):
        assert service["metadata"]["labels"]["app.kubernetes.io/name"] == "ado"
        (metrics,) = [p for p in service["spec"]["ports"] if p["name"] == "metrics"]
        pod = _pods(stack)[service["spec"]["selector"]["app"]]
        (port,) = [
            p for p in pod["spec"]["containers"][0]["ports"] if p["name"] == metrics["targetPort"]
        ]
        assert port["containerPort"] == 9090


def test_every_object_hangs_in_the_tree_below_the_platform(stack: Recording) -> None:
    parents = {resource.urn: resource.parent for resource in stack.resources}
    (platform,) = [r.urn for r in stack.resources if r.type == "ado:index:AdoPlatform"]
    for resource in stack.resources:
        if resource.urn != platform:
            assert resource.parent in parents, f"{resource.name} has no component as its parent"


def test_production_protects_namespace_and_generated_key_and_nothing_else(prod: Recording) -> None:
    protected = {resource.name for resource in prod.resources if resource.protect}
    assert protected == {"ado-namespace", "ado-digest-key"}


def test_without_protect_data_nothing_is_protected(dev: Recording) -> None:
    assert not [resource.name for resource in dev.resources if resource.protect]


def test_secrets_are_only_where_secrets_belong(stack: Recording) -> None:
    found = {
        (r.type, r.name, path) for r in stack.resources for path in secret_paths(dict(r.inputs))
    }
    assert {(name, path.split(".")[0]) for _, name, path in found} == {
        ("ado-configuration-agent-credentials", "data")
    }


def test_two_platforms_in_one_program_do_not_collide() -> None:
    settings = Settings.model_validate(
        {"gateway": {"image": {"tag": "1.0"}}, "dashboard": {"image": {"tag": "1.0"}}}
    )

    def program() -> None:
        for name, namespace in (("blue", "ado-blue"), ("green", "ado-green")):
            args = AdoPlatformArgs(
                settings=settings, agent_credentials=AgentCredentials(), namespace=namespace
            )
            AdoPlatform(name, args)

    recording = record(program)
    urns = [resource.urn for resource in recording.resources]
    places = [(r.key, r.manifest["metadata"].get("namespace")) for r in recording.objects]
    assert len(urns) == len(set(urns)) == 2 * len({u.replace("green", "blue") for u in urns})
    assert len(places) == len(set(places))


@pytest.mark.parametrize(
    ("room", "workload"), [("gateway", "ado-api-gateway"), ("dashboard", "ado-dashboard")]
)
def test_a_new_tag_changes_that_tiers_pods_alone(room: str, workload: str, dev: Recording) -> None:
    changed = record_stack("dev", changes={f"ado:{room}": {"image": {"tag": "0.2.0"}}})
    assert _differing(dev, changed) == {("Deployment", workload)}
    assert (
        changed.get("Deployment", workload)["spec"]["template"]["metadata"]["labels"][
            "app.kubernetes.io/version"
        ]
        == "0.2.0"
    )


def test_a_value_of_the_configuration_rolls_its_readers_alone(dev: Recording) -> None:
    changed = record_stack(
        "dev", changes={"ado:config": {"orchestration": {"maxParallelAgents": 7}}}
    )
    assert _differing(dev, changed) == {
        ("ConfigMap", "ado-config"),
        ("Deployment", "ado-api-gateway"),
    }
