"""The offline kubernetes plugin under the real engine: what reaches the cluster, and what does not.

Nothing here needs a node: no pod is waited for.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest
from pulumi_kubernetes import Provider
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.apiextensions.v1 import (
    CustomResourceDefinition,
    JSONSchemaPropsArgsDict,
)
from pulumi_kubernetes.apps.v1 import Deployment, DeploymentSpecArgsDict
from pulumi_kubernetes.core.v1 import (
    ConfigMap,
    Namespace,
    PodTemplateSpecArgsDict,
    Secret,
    SecurityContextArgsDict,
    Service,
)
from pulumi_random import RandomPassword

from sandbox.paths import Sandbox
from tests.cluster.engine import Engine, kubectl_in

NAMESPACE = "plugin-test"
CANARY = "c4n@ry:/%+'\" value"
NO_WAIT = {"pulumi.com/skipAwait": "true"}
HARDENED: SecurityContextArgsDict = {
    "allow_privilege_escalation": False,
    "capabilities": {"drop": ["ALL"]},
}


@pytest.fixture(scope="module")
def kubectl(cluster: Sandbox) -> Iterator[Any]:
    """`kubectl` in a namespace of the tests' own; JSON answers parsed."""
    with kubectl_in(cluster, NAMESPACE) as run:
        yield run


@pytest.fixture(autouse=True)
def in_namespace(kubectl: Any) -> None:
    """Every program here writes into the tests' namespace."""


def config_map(name: str = "settings", **data: str) -> ConfigMap:
    return ConfigMap("settings", metadata={"name": name, "namespace": NAMESPACE}, data=data)


def web(image: str = "web:1", *, replicas: int | None = None, **options: Any) -> Deployment:
    template: PodTemplateSpecArgsDict = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "containers": [{"name": "web", "image": image, "security_context": HARDENED}],
            "security_context": {
                "run_as_non_root": True,
                "seccomp_profile": {"type": "RuntimeDefault"},
            },
            "termination_grace_period_seconds": 0,
        },
    }
    spec: DeploymentSpecArgsDict = {
        "selector": {"match_labels": {"app": "web"}},
        "template": template,
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return Deployment(
        "web",
        metadata={"name": "web", "namespace": NAMESPACE, "annotations": NO_WAIT},
        spec=spec,
        opts=pulumi.ResourceOptions(**options),
    )


def test_a_second_up_changes_nothing_and_nobody_is_warned(engine: Engine) -> None:
    def program() -> None:
        config_map(a="1")
        web()

    preview = engine.preview(program)
    first = engine.up(program)
    assert (first.error, first.changes) == ("", {"create": 2})
    assert preview.changes == first.changes
    second = engine.up(program)
    assert (second.error, second.changes) == ("", {})
    assert [*preview.diagnostics, *first.diagnostics, *second.diagnostics] == []


def test_a_changed_config_map_is_replaced_unless_it_is_mutable(engine: Engine) -> None:
    engine.up(lambda: config_map(a="1") and None)
    changed = engine.preview(lambda: config_map(a="2") and None)
    assert changed.steps == {"settings": "replace"}
    assert changed.diffs == {"settings": ["data.a"]}

    engine.set_config({"kubernetes:enableConfigMapMutable": True})
    updated = engine.up(lambda: config_map(a="2") and None)
    assert (updated.error, updated.steps) == ("", {"settings": "update"})


def test_a_replaced_object_of_a_fixed_name_is_deleted_first(engine: Engine, kubectl: Any) -> None:
    engine.up(lambda: config_map(a="1") and None)
    replaced = engine.up(lambda: config_map(a="2") and None)
    assert (replaced.error, replaced.steps) == ("", {"settings": "replace"})
    assert kubectl("get", "cm", "settings", "-o", "json")["data"] == {"a": "2"}


def test_an_unnamed_object_gets_a_name_and_keeps_it(engine: Engine) -> None:
    def program() -> None:
        ConfigMap("notes", metadata={"namespace": NAMESPACE}, data={"a": "1"})

    engine.set_config({"kubernetes:enableConfigMapMutable": True})
    engine.up(program)
    name = engine.state()["notes"]["id"]
    assert name.startswith(f"{NAMESPACE}/notes-")
    engine.up(lambda: ConfigMap("notes", metadata={"namespace": NAMESPACE}, data={}) and None)
    assert engine.state()["notes"]["id"] == name


def test_an_object_that_is_already_there_is_an_error(engine: Engine, kubectl: Any) -> None:
    kubectl("create", "configmap", "settings", "--from-literal=theirs=1")
    collision = engine.up(lambda: config_map(a="1") and None)
    assert f"ConfigMap {NAMESPACE}/settings already exists" in collision.error
    assert kubectl("get", "cm", "settings", "-o", "json")["data"] == {"theirs": "1"}
    kubectl("delete", "configmap", "settings")


def test_a_field_taken_out_of_the_program_leaves_the_object(engine: Engine, kubectl: Any) -> None:
    engine.set_config({"kubernetes:enableConfigMapMutable": True})
    engine.up(lambda: config_map(a="1", b="2") and None)
    kubectl("patch", "cm", "settings", "--type=merge", "-p", '{"data": {"theirs": "3"}}')
    engine.up(lambda: config_map(a="1") and None)
    assert kubectl("get", "cm", "settings", "-o", "json")["data"] == {"a": "1", "theirs": "3"}


def test_what_an_autoscaler_set_is_never_touched(engine: Engine, kubectl: Any) -> None:
    engine.up(lambda: web("web:1") and None)
    kubectl("scale", "deployment/web", "--replicas=4")
    rolled = engine.up(lambda: web("web:2") and None)
    assert (rolled.error, rolled.steps) == ("", {"web": "update"})
    spec = kubectl("get", "deployment", "web", "-o", "json")["spec"]
    assert spec["replicas"] == 4
    assert spec["template"]["spec"]["containers"][0]["image"] == "web:2"


def test_an_ignored_field_may_belong_to_somebody_else(engine: Engine, kubectl: Any) -> None:
    ignoring: dict[str, Any] = {"replicas": 2, "ignore_changes": ["spec.replicas"]}
    engine.up(lambda: web("web:1", **ignoring) and None)
    kubectl("scale", "deployment/web", "--replicas=5")
    rolled = engine.up(lambda: web("web:2", **ignoring) and None)
    assert (rolled.error, rolled.diffs) == (
        "",
        {"web": ["spec.template.spec.containers[0].image"]},
    )
    assert kubectl("get", "deployment", "web", "-o", "json")["spec"]["replicas"] == 5


def test_a_conflict_names_the_field_and_its_manager(engine: Engine, kubectl: Any) -> None:
    engine.up(lambda: web(replicas=2) and None)
    kubectl("scale", "deployment/web", "--replicas=5")
    conflict = engine.up(lambda: web(replicas=3) and None)
    assert ".spec.replicas" in conflict.error
    assert 'conflict with "kubectl"' in conflict.error
    assert "pulumi.com/patchForce" in conflict.error
    assert kubectl("get", "deployment", "web", "-o", "json")["spec"]["replicas"] == 5


def test_secrets_are_in_no_state_history_or_output(engine: Engine, kubectl: Any) -> None:
    def program(text: str = CANARY) -> None:
        password = RandomPassword("password", length=20)
        Secret(
            "secret",
            metadata={"name": "secret", "namespace": NAMESPACE},
            string_data={"given": pulumi.Output.secret(text), "made": password.result},
        )

    engine.set_config({"kubernetes:enableSecretMutable": True})
    runs = [engine.preview(program), engine.up(program), engine.up(lambda: program(f"{CANARY}2"))]
    assert [run.error for run in runs] == ["", "", ""]
    data = kubectl("get", "secret", "secret", "-o", "json")["data"]
    given, made = (base64.b64decode(data[key]).decode() for key in ("given", "made"))
    assert (given, len(made)) == (f"{CANARY}2", 20)
    seen = engine.stored_text() + "".join(
        run.output + "".join(run.diagnostics) + "".join(run.statuses) for run in runs
    )
    for value in (CANARY, made):
        forms = {value, json.dumps(value)[1:-1], base64.b64encode(value.encode()).decode()}
        assert not [form for form in forms if form in seen]


def test_drift_shows_after_a_refresh_and_the_next_up_mends_it(engine: Engine, kubectl: Any) -> None:
    def program() -> None:
        config_map(a="1")
        web()

    engine.set_config({"kubernetes:enableConfigMapMutable": True})
    engine.up(program)
    calm = engine.refresh(program)
    assert (calm.error, calm.changes) == ("", {})
    assert engine.preview(program).changes == {}

    kubectl("patch", "cm", "settings", "--type=merge", "-p", '{"data": {"a": "9"}}')
    kubectl("delete", "deployment", "web")
    engine.refresh(program)
    mended = engine.preview(program)
    assert mended.steps == {"settings": "update", "web": "create"}


def test_a_custom_resource_is_made_together_with_its_definition(
    engine: Engine, kubectl: Any
) -> None:
    schema: JSONSchemaPropsArgsDict = {
        "type": "object",
        "x_kubernetes_preserve_unknown_fields": True,
    }

    def program() -> None:
        definition = CustomResourceDefinition(
            "crd",
            metadata={"name": "lamps.plugin.test"},
            spec={
                "group": "plugin.test",
                "names": {"kind": "Lamp", "plural": "lamps"},
                "scope": "Namespaced",
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"open_apiv3_schema": schema},
                    }
                ],
            },
        )
        CustomResource(
            "lamp",
            api_version="plugin.test/v1",
            kind="Lamp",
            metadata={
                "name": "lamp",
                "namespace": NAMESPACE,
                # Foreground waits for the collector, which learns of new kinds every half minute.
                "annotations": {"pulumi.com/deletionPropagationPolicy": "background"},
            },
            spec={"watts": 5},
            opts=pulumi.ResourceOptions(depends_on=[definition]),
        )

    assert engine.preview(program).error == ""
    assert engine.up(program).error == ""
    assert kubectl("get", "lamps.plugin.test", "lamp", "-o", "json")["spec"] == {"watts": 5}
    assert engine.up(program).changes == {}


def test_an_object_of_somebody_else_can_be_read_and_imported(engine: Engine, kubectl: Any) -> None:
    kubectl("create", "configmap", "theirs", "--from-literal=a=1")

    def read() -> None:
        found = ConfigMap.get("theirs", f"{NAMESPACE}/theirs")
        ConfigMap("copy", metadata={"name": "copy", "namespace": NAMESPACE}, data=found.data)

    assert engine.up(read).error == ""
    assert kubectl("get", "cm", "copy", "-o", "json")["data"] == {"a": "1"}

    def adopt() -> None:
        ConfigMap(
            "mine",
            metadata={"name": "theirs", "namespace": NAMESPACE},
            data={"a": "1"},
            opts=pulumi.ResourceOptions(import_=f"{NAMESPACE}/theirs"),
        )

    adopted = engine.up(adopt)
    assert (adopted.error, adopted.steps["mine"]) == ("", "import")


def test_a_provider_of_its_own_takes_the_kubeconfig_itself(
    engine: Engine, cluster: Sandbox, kubectl: Any
) -> None:
    def program(**settings: Any) -> None:
        contents = pulumi.Output.secret(cluster.kubeconfig.read_text())
        own = Provider("own", kubeconfig=contents, namespace=NAMESPACE, **settings)
        options = pulumi.ResourceOptions(provider=own)
        ConfigMap("settings", metadata={"name": "settings"}, opts=options)

    assert engine.up(program).error == ""
    assert kubectl("get", "cm", "settings", "-o", "json")
    refused = engine.preview(lambda: program(render_yaml_to_directory="out"))
    assert "renderYamlToDirectory" in refused.error
    assert "is not covered by the offline plugin" in refused.error


def test_a_wrong_field_is_pointed_out_and_a_wrong_value_refused(engine: Engine) -> None:
    def program() -> None:
        Service(
            "bad", metadata={"name": "bad", "namespace": "default"}, spec={"ports": [{"port": 0}]}
        )

    refused = engine.preview(program)
    assert "spec.ports[0].port" in refused.error
    assert "Traceback" not in refused.error


def test_what_is_not_covered_is_refused_by_name(engine: Engine) -> None:
    from pulumi_kubernetes.core.v1 import ConfigMapPatch  # noqa: PLC0415
    from pulumi_random import RandomPet  # noqa: PLC0415

    patch = engine.preview(lambda: ConfigMapPatch("p", metadata={"name": "p"}) and None)
    assert "kubernetes:core/v1:ConfigMapPatch is not covered by the offline plugin" in patch.error
    pet = engine.preview(lambda: RandomPet("p") and None)
    assert "RandomPet is not covered by the offline plugin" in pet.error


def test_a_destroyed_stack_leaves_nothing(engine: Engine, kubectl: Any) -> None:
    def program() -> None:
        made = Namespace("ns", metadata={"name": f"{NAMESPACE}-own"})
        name = made.metadata.apply(lambda metadata: str(metadata.name))
        ConfigMap("settings", metadata={"name": "settings", "namespace": name})

    assert engine.up(program).error == ""
    assert engine.destroy().error == ""
    listed = kubectl("get", "namespaces", "-o", "json")["items"]
    assert f"{NAMESPACE}-own" not in {item["metadata"]["name"] for item in listed}
