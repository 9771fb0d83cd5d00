from __future__ import annotations

import base64

from sandbox.plugins.kubernetes.cluster import Object
from sandbox.plugins.kubernetes.objects import (
    field_manager,
    imported_inputs,
    live_inputs,
    manifest,
    redact,
    state,
)
from sandbox.plugins.values import Secret, to_struct
from tests.unit.plugins.fakes import config_map


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(**rest: object) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, **rest}


def test_a_manifest_is_plain_and_has_no_server_fields() -> None:
    inputs = config_map(a=Secret("x"))
    inputs["metadata"] |= {"uid": "u", "resourceVersion": "1", "managedFields": []}
    sent = manifest(inputs)
    assert sent["data"] == {"a": "x"}
    assert sent["metadata"] == {"name": "cm", "namespace": "default"}


def test_text_data_becomes_data_and_wins_over_it() -> None:
    sent = manifest(secret(data={"a": encoded("1"), "b": encoded("2")}, stringData={"b": "3"}))
    assert sent["data"] == {"a": encoded("1"), "b": encoded("3")}
    assert "stringData" not in sent


def test_all_data_of_a_secret_is_secret_in_the_state() -> None:
    live = secret(data={"a": encoded("1")})
    outputs = state(live, secret(stringData={"a": "1"}), "manager", "v1")
    assert outputs["data"] == Secret({"a": encoded("1")})
    assert outputs["__inputs"]["stringData"] == Secret({"a": "1"})


def test_a_secret_input_stays_secret_in_the_outputs() -> None:
    live = config_map(a="x", b="y")
    outputs = state(live, config_map(a=Secret("x")), "manager", "v1")
    assert outputs["data"] == {"a": Secret("x"), "b": "y"}
    assert "x" not in str(outputs)


def test_the_state_keeps_no_managed_fields() -> None:
    live = config_map()
    live["metadata"]["managedFields"] = [{"manager": "somebody"}]
    assert "somebody" not in str(to_struct(state(live, config_map(), "me", "v1")))


def test_the_field_manager_is_kept_unless_the_program_names_one() -> None:
    named = config_map()
    named["metadata"]["annotations"] = {"pulumi.com/patchFieldManager": "mine"}
    assert field_manager("urn:1", config_map(), {"__fieldManager": "before"}) == "before"
    assert field_manager("urn:1", named, {"__fieldManager": "before"}) == "mine"


def test_every_resource_has_a_field_manager_of_its_own_that_is_known_again() -> None:
    made = [field_manager(urn, config_map()) for urn in ("urn:1", "urn:2", "urn:1")]
    assert made[0] == made[2] != made[1]
    assert all(one.startswith("pulumi-kubernetes-") for one in made)


def test_drift_is_seen_in_our_own_fields_only() -> None:
    live = config_map(a="drifted", theirs="x") | {"status": {}}
    live["metadata"]["labels"] = {"theirs": "x"}
    assert live_inputs(live, config_map(a="1", gone="2")) == config_map(a="drifted")


def test_the_same_quantity_in_another_notation_is_no_drift() -> None:
    own = {"spec": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}}
    live = {"spec": {"limits": {"cpu": "1", "memory": "1Gi"}}}
    assert live_inputs(live, own) == own
    assert live_inputs({"data": {"a": "1"}}, {"data": {"a": "1000m"}}) == {"data": {"a": "1"}}


def test_an_empty_value_that_the_server_drops_is_no_drift() -> None:
    own = {"spec": {"readOnly": False, "emptyDir": {}, "env": [{"name": "A", "value": ""}]}}
    assert live_inputs({"spec": {"env": [{"name": "A"}]}}, own) == own


def test_items_that_others_added_to_a_named_list_are_no_drift() -> None:
    own = {"containers": [{"name": "app", "image": "a"}]}
    live = {"containers": [{"name": "sidecar", "image": "s"}, {"name": "app", "image": "a"}]}
    assert live_inputs(live, own) == own


def test_several_mounts_of_one_volume_are_told_apart() -> None:
    mounts = [{"name": "scripts", "mountPath": path} for path in ("/a", "/b", "/c")]
    served = [{**mount, "recursiveReadOnly": "Disabled"} for mount in reversed(mounts)]
    assert live_inputs({"volumeMounts": served}, {"volumeMounts": mounts}) == {
        "volumeMounts": mounts
    }


def test_an_added_item_of_a_nameless_list_is_drift() -> None:
    assert live_inputs({"ports": [1, 2]}, {"ports": [1]}) == {"ports": [1, 2]}


def test_text_data_is_compared_with_the_data_it_became() -> None:
    own = secret(stringData={"a": "1"})
    found = live_inputs(secret(data={"a": encoded("2"), "theirs": "eA=="}), own)
    assert found["stringData"] == Secret({"a": "2"})
    assert "data" not in found


def test_an_import_takes_all_but_what_the_server_keeps() -> None:
    live = config_map(a="1") | {"status": {"x": 1}}
    live["metadata"] |= {"uid": "u", "creationTimestamp": "t", "labels": {"l": "1"}}
    found = imported_inputs(live)
    assert found["metadata"] == {"name": "cm", "namespace": "default", "labels": {"l": "1"}}
    assert found["data"] == {"a": "1"}
    assert "status" not in found


def test_a_message_shows_no_secret_in_any_notation() -> None:
    hidden = frozenset({"pa55word", encoded("other one")})
    shown = redact(f"got pa55word, {encoded('pa55word')} and other one", hidden)
    assert shown == "got [secret], [secret] and [secret]"


def test_schema_extensions_have_two_spellings() -> None:
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "d"},
        "spec": [{"x_kubernetes_int_or_string": True}],
    }
    sent = manifest(definition)
    assert sent["spec"] == [{"x-kubernetes-int-or-string": True}]
    assert state(sent, definition, "m", "v1")["spec"] == definition["spec"]
