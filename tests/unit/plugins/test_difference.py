from __future__ import annotations

from typing import Any

import pytest

from sandbox.plugins.kubernetes.cluster import Object
from sandbox.plugins.kubernetes.difference import difference
from sandbox.plugins.kubernetes.settings import Settings

IMMUTABLE = Settings()
MUTABLE = Settings(config_map_mutable=True, secret_mutable=True)


def obj(kind: str, api_version: str = "v1", name: str = "x", **rest: Any) -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        **rest,
    }


def replaced(old: Object, new: Object, settings: Settings = IMMUTABLE) -> list[str]:
    return [change.path for change in difference(old, new, settings).changes if change.replaces]


def paths(old: Object, new: Object) -> dict[str, str]:
    return {change.path: change.kind for change in difference(old, new, IMMUTABLE).changes}


def test_only_what_differs_is_named_by_its_path() -> None:
    old = obj("Thing", spec={"ports": [{"port": 1}, {"port": 2}], "a": 1, "same": [1]})
    new = obj("Thing", spec={"ports": [{"port": 1}, {"port": 3}, {"port": 4}], "b": 1, "same": [1]})
    assert paths(old, new) == {
        "spec.a": "DELETE",
        "spec.b": "ADD",
        "spec.ports[1].port": "UPDATE",
        "spec.ports[2]": "ADD",
    }


def test_keys_with_dots_are_quoted() -> None:
    old, new = obj("Thing", data={}), obj("Thing", data={"a.b/c": 1})
    assert paths(old, new) == {'data["a.b/c"]': "ADD"}


def test_true_and_one_are_not_the_same() -> None:
    assert paths(obj("Thing", a=True), obj("Thing", a=1)) == {"a": "UPDATE"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (obj("ConfigMap", name="x"), obj("ConfigMap", name="y")),
        (obj("ConfigMap"), obj("Secret")),
        (obj("ConfigMap", data={"a": "1"}), obj("ConfigMap", data={"a": "2"})),
        (obj("ConfigMap"), obj("ConfigMap", binaryData={"a": "MQ=="})),
        (obj("Secret", stringData={"a": "1"}), obj("Secret", stringData={"a": "2"})),
        (obj("Service", spec={"clusterIP": "None"}), obj("Service", spec={})),
        (
            obj("Deployment", "apps/v1", spec={"selector": {"matchLabels": {"app": "x"}}}),
            obj("Deployment", "apps/v1", spec={"selector": {"matchLabels": {"app": "y"}}}),
        ),
        (
            obj("StatefulSet", "apps/v1", spec={"volumeClaimTemplates": [{"spec": {"a": 1}}]}),
            obj("StatefulSet", "apps/v1", spec={"volumeClaimTemplates": [{"spec": {"a": 2}}]}),
        ),
        (
            obj("StatefulSet", "apps/v1", spec={}),
            obj("StatefulSet", "apps/v1", spec={"revisionHistoryLimit": 3}),
        ),
        (
            obj("Job", "batch/v1", spec={"template": {"spec": {"containers": [{"image": "a"}]}}}),
            obj("Job", "batch/v1", spec={"template": {"spec": {"containers": [{"image": "b"}]}}}),
        ),
        (
            obj("Pod", spec={"containers": [{"image": "a"}]}),
            obj("Pod", spec={"containers": [{"image": "a"}, {"image": "b"}]}),
        ),
        (
            obj("PersistentVolumeClaim", spec={"storageClassName": "a"}),
            obj("PersistentVolumeClaim", spec={"storageClassName": "b"}),
        ),
        (
            obj("RoleBinding", "rbac.authorization.k8s.io/v1", roleRef={"name": "a"}),
            obj("RoleBinding", "rbac.authorization.k8s.io/v1", roleRef={"name": "b"}),
        ),
    ],
)
def test_what_cannot_change_in_place_replaces(old: Object, new: Object) -> None:
    assert replaced(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (obj("Service", spec={"type": "ClusterIP"}), obj("Service", spec={"type": "NodePort"})),
        (
            obj("PersistentVolumeClaim", spec={"resources": {"requests": {"storage": "1Gi"}}}),
            obj("PersistentVolumeClaim", spec={"resources": {"requests": {"storage": "2Gi"}}}),
        ),
        (
            obj("Deployment", "apps/v1", spec={"template": {"a": 1}}),
            obj("Deployment", "apps/v1", spec={"template": {"a": 2}}),
        ),
        (obj("ConfigMap"), obj("ConfigMap", immutable=True)),
        (
            obj("PodDisruptionBudget", "policy/v1", spec={"minAvailable": 1}),
            obj("PodDisruptionBudget", "policy/v1", spec={"maxUnavailable": 1}),
        ),
        (
            obj("ConfigMap"),
            obj("ConfigMap") | {"metadata": {"name": "x", "namespace": "default", "labels": {}}},
        ),
    ],
)
def test_what_can_change_in_place_does(old: Object, new: Object) -> None:
    assert difference(old, new, IMMUTABLE).changes
    assert not replaced(old, new)


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_data_is_changed_in_place_where_the_setting_allows_it(kind: str) -> None:
    old, new = obj(kind, data={"a": "MQ=="}), obj(kind, data={"a": "Mg=="})
    assert replaced(old, new) == ["data.a"]
    assert not replaced(old, new, MUTABLE)


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_an_immutable_object_is_replaced_whatever_the_setting(kind: str) -> None:
    old = obj(kind, data={"a": "MQ=="}, immutable=True)
    assert replaced(old, old | {"data": {"a": "Mg=="}}, MUTABLE) == ["data.a"]
    assert replaced(old, obj(kind, data={"a": "MQ=="}), MUTABLE) == ["immutable"]


def test_the_type_of_a_secret_replaces_it_even_when_mutable() -> None:
    assert replaced(obj("Secret", type="a"), obj("Secret", type="b"), MUTABLE) == ["type"]


def test_a_replacement_under_the_same_given_name_deletes_first() -> None:
    old, new = obj("ConfigMap", data={"a": "1"}), obj("ConfigMap", data={"a": "2"})
    assert difference(old, new, IMMUTABLE).delete_before_replace


def test_a_replacement_that_may_have_another_name_does_not() -> None:
    old, new = obj("ConfigMap", data={"a": "1"}), obj("ConfigMap", data={"a": "2"})
    new["metadata"]["annotations"] = {"pulumi.com/autonamed": "true"}
    assert not difference(old, new, IMMUTABLE).delete_before_replace
    assert not difference(old, obj("ConfigMap", name="other"), IMMUTABLE).delete_before_replace


def test_nothing_is_deleted_first_when_nothing_is_replaced() -> None:
    old, new = obj("ConfigMap", data={"a": "1"}), obj("ConfigMap", data={"a": "2"})
    assert not difference(old, new, MUTABLE).delete_before_replace
