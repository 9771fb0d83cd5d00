from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from sandbox.plugins.kubernetes.cluster import ApiError, Cluster, Object
from sandbox.plugins.kubernetes.objects import field_manager
from sandbox.plugins.kubernetes.server import KubernetesProvider
from sandbox.plugins.kubernetes.settings import Settings, refused
from sandbox.plugins.kubernetes.waiting import DEFAULT_TIMEOUT, NotReadyError, Waiter, timeout_of
from sandbox.plugins.provider import (
    InitializationFailedError,
    Naming,
    ProviderError,
    Resource,
)
from sandbox.plugins.values import UNKNOWN, Secret
from tests.unit.plugins.fakes import (
    FakeCluster,
    RecordingEngine,
    config_map,
    deployment,
    rolled_out,
)

CONFIG_MAP = Resource("urn", "kubernetes:core/v1:ConfigMap", "notes")
DEPLOYMENT = Resource("urn", "kubernetes:apps/v1:Deployment", "web")
CM_PATH = "/api/v1/namespaces/default/configmaps/cm"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def provider(cluster: FakeCluster) -> KubernetesProvider:
    provider = KubernetesProvider()
    provider.cluster = cast("Cluster", cluster)  # as far as it is asked
    provider.engine = RecordingEngine()
    return provider


def check(provider: KubernetesProvider, new: Object, old: Object | None = None) -> Any:
    return provider.check(CONFIG_MAP, old or {}, new, Naming())


def problems(provider: KubernetesProvider, new: Object) -> list[str]:
    return [failure.property for failure in check(provider, new)[1]]


class TestCheck:
    def test_an_unnamed_object_is_named_after_the_resource(
        self, provider: KubernetesProvider
    ) -> None:
        inputs, _ = check(provider, {"apiVersion": "v1", "kind": "ConfigMap"})
        metadata = inputs["metadata"]
        stem, _, digits = metadata["name"].rpartition("-")
        assert (stem, len(digits)) == ("notes", 8)
        assert metadata["annotations"] == {"pulumi.com/autonamed": "true"}
        assert metadata["namespace"] == "default"

    def test_a_made_up_name_is_kept(self, provider: KubernetesProvider) -> None:
        new = {"apiVersion": "v1", "kind": "ConfigMap"}
        first, _ = check(provider, new)
        second, _ = check(provider, new, first)
        assert second["metadata"] == first["metadata"]

    def test_a_given_name_that_is_taken_back_is_not_kept(
        self, provider: KubernetesProvider
    ) -> None:
        inputs, _ = check(provider, {"apiVersion": "v1", "kind": "ConfigMap"}, config_map())
        assert "name" not in inputs["metadata"]

    def test_the_engine_may_name_or_forbid_to(self, provider: KubernetesProvider) -> None:
        new = {"apiVersion": "v1", "kind": "ConfigMap"}
        inputs, _ = provider.check(CONFIG_MAP, {}, new, Naming(proposed="fixed"))
        assert inputs["metadata"]["name"] == "fixed"
        _, failures = provider.check(CONFIG_MAP, {}, new, Naming(disabled=True))
        assert [failure.property for failure in failures] == ["metadata.name"]

    def test_a_logical_name_that_is_no_kubernetes_name_asks_for_one(
        self, provider: KubernetesProvider
    ) -> None:
        odd = Resource("urn", "kubernetes:core/v1:ConfigMap", "My Notes")
        _, failures = provider.check(odd, {}, {"apiVersion": "v1", "kind": "ConfigMap"}, Naming())
        assert "'My Notes-" in failures[0].reason

    def test_cluster_wide_objects_get_no_namespace(self, provider: KubernetesProvider) -> None:
        new = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
        assert check(provider, new)[0]["metadata"] == {"name": "n"}

    def test_an_unknown_kind_is_taken_for_a_namespaced_one(
        self, provider: KubernetesProvider
    ) -> None:
        new = {"apiVersion": "a.b/v1", "kind": "Lamp", "metadata": {"name": "n"}}
        assert check(provider, new)[0]["metadata"]["namespace"] == "default"

    def test_secrets_stay_secret(self, provider: KubernetesProvider) -> None:
        inputs, _ = check(provider, config_map(a=Secret("x"), b="y"))
        assert inputs["data"] == {"a": Secret("x"), "b": "y"}

    def test_values_to_come_are_let_through(self, provider: KubernetesProvider) -> None:
        new = config_map() | {"metadata": UNKNOWN}
        assert check(provider, new) == (new, [])

    def test_wrong_inputs_are_named(self, provider: KubernetesProvider) -> None:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
        assert problems(provider, secret | {"data": {"a": "p l a i n"}}) == ["data.a"]
        assert problems(provider, {"kind": "ConfigMap"}) == ["apiVersion"]
        generated = config_map() | {"metadata": {"generateName": "x-"}}
        assert problems(provider, generated) == ["metadata.generateName"]
        waiting = config_map()
        waiting["metadata"]["annotations"] = {"pulumi.com/waitFor": "true"}
        assert problems(provider, waiting) == ['metadata.annotations["pulumi.com/waitFor"]']

    @pytest.mark.parametrize(
        "token",
        [
            "kubernetes:helm.sh/v3:Release",
            "kubernetes:yaml/v2:ConfigGroup",
            "kubernetes:core/v1:ConfigMapPatch",
        ],
    )
    def test_what_is_no_single_object_is_refused_by_name(
        self, provider: KubernetesProvider, token: str
    ) -> None:
        new = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
        with pytest.raises(ProviderError, match=f"{token} is not covered"):
            provider.check(Resource("urn", token, "x"), {}, new, Naming())

    def test_a_list_is_refused(self, provider: KubernetesProvider) -> None:
        new = {"apiVersion": "v1", "kind": "ConfigMapList", "items": []}
        token = Resource("urn", "kubernetes:core/v1:ConfigMapList", "x")
        with pytest.raises(ProviderError, match="a list is no object of its own"):
            provider.check(token, {}, new, Naming())


class TestWriting:
    def test_a_preview_changes_nothing(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        id_, outputs = provider.create(CONFIG_MAP, config_map(a="1"), 0, preview=True)
        assert (id_, cluster.objects) == ("", {})
        assert outputs["data"] == {"a": "1"}

    def test_values_to_come_and_kinds_to_come_are_not_sent(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        later = config_map(a=UNKNOWN)
        lamp = config_map() | {"apiVersion": "a.b/v1", "kind": "Lamp"}
        assert provider.create(CONFIG_MAP, later, 0, preview=True) == ("", later)
        assert provider.create(CONFIG_MAP, lamp, 0, preview=True) == ("", lamp)
        assert cluster.applied == []

    def test_a_preview_in_a_namespace_to_come_shows_the_inputs(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        cluster.refusal = ApiError(404, 'namespaces "x" not found')
        assert provider.create(CONFIG_MAP, config_map(), 0, preview=True) == ("", config_map())

    def test_what_is_there_already_is_an_error_but_not_in_a_preview(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        cluster.objects[CM_PATH] = config_map()
        with pytest.raises(ProviderError, match="ConfigMap default/cm already exists"):
            provider.create(CONFIG_MAP, config_map(), 0, preview=False)
        assert provider.create(CONFIG_MAP, config_map(), 0, preview=True)[1] == config_map()

    def test_what_is_on_its_way_out_is_given_time(
        self, provider: KubernetesProvider, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        leaving = config_map()
        leaving["metadata"]["deletionTimestamp"] = "now"
        looks = iter([leaving, None, config_map()])
        monkeypatch.setattr(cluster, "get", lambda _: next(looks))
        assert provider.create(CONFIG_MAP, config_map(), 0, preview=False)[0] == "default/cm"

    def test_a_creation_that_was_interrupted_is_brought_to_its_end(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        half = config_map()
        manager = field_manager(CONFIG_MAP.urn, config_map())
        half["metadata"]["managedFields"] = [{"manager": manager}]
        cluster.objects[CM_PATH] = half
        assert provider.create(CONFIG_MAP, config_map(a="1"), 0, preview=False)[0] == "default/cm"

    def test_what_is_there_may_be_taken_over_by_setting(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        cluster.objects[CM_PATH] = config_map()
        provider.settings = Settings(upsert=True)
        assert provider.create(CONFIG_MAP, config_map(a="1"), 0, preview=False)[0] == "default/cm"

    def test_an_update_uses_the_manager_of_the_create(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        _, outputs = provider.create(CONFIG_MAP, config_map(a="1"), 0, preview=False)
        provider.update(CONFIG_MAP, outputs, config_map(a="2"), [], 0, preview=False)
        managers = {query["fieldManager"] for _, _, query in cluster.applied}
        assert managers == {outputs["__fieldManager"]}
        assert not any("force" in query for _, _, query in cluster.applied)

    def test_fields_are_taken_over_only_when_asked_to(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        forced = config_map()
        forced["metadata"]["annotations"] = {"pulumi.com/patchForce": "true"}
        provider.create(CONFIG_MAP, forced, 0, preview=False)
        assert cluster.applied[0][2]["force"] == "true"

    def test_an_object_that_is_gone_is_not_updated(self, provider: KubernetesProvider) -> None:
        with pytest.raises(ProviderError, match="gone from the cluster"):
            provider.update(CONFIG_MAP, config_map(), config_map(), [], 0, preview=False)

    def test_a_conflict_names_field_manager_and_remedy(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        cluster.objects[CM_PATH] = config_map()
        cause = {"field": ".data.a", "message": 'conflict with "kubectl"'}
        cluster.refusal = ApiError(409, "conflict", "Conflict", [cause])
        with pytest.raises(ProviderError) as caught:
            provider.update(CONFIG_MAP, config_map(), config_map(a="1"), [], 0, preview=False)
        for part in ('.data.a: conflict with "kubectl"', "ignore_changes", "pulumi.com/patchForce"):
            assert part in str(caught.value)

    def test_an_ignored_field_of_somebody_else_is_not_sent(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        live = config_map(a="theirs", b="ours, drifted")
        live["metadata"]["managedFields"] = [
            {"manager": "them", "fieldsV1": {"f:data": {"f:a": {}}}},
            {"manager": "me", "fieldsV1": {"f:data": {"f:b": {}}}},
        ]
        cluster.objects[CM_PATH] = live
        ignored = ["data.a", "data.b", "data.none"]
        old = config_map() | {"__fieldManager": "me"}
        provider.update(CONFIG_MAP, old, config_map(a="1", b="2"), ignored, 0, preview=False)
        assert cluster.applied[0][1]["data"] == {"b": "ours, drifted"}

    def test_a_refusal_shows_no_secret(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        cluster.refusal = ApiError(422, 'Invalid value: "pa55word"')
        with pytest.raises(ProviderError, match=r'Invalid value: "\[secret\]"'):
            provider.create(CONFIG_MAP, config_map(a=Secret("pa55word")), 0, preview=False)

    def test_deleting_what_is_gone_is_fine(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        provider.delete(CONFIG_MAP, "default/cm", config_map(), 0)
        lamp = config_map() | {"apiVersion": "a.b/v1", "kind": "Lamp"}
        provider.delete(CONFIG_MAP, "default/cm", lamp, 0)
        assert cluster.deleted == []

    @pytest.mark.parametrize(
        ("asked", "sent"),
        [("", "Foreground"), ("background", "Background"), ("orphan", "Orphan")],
    )
    def test_deletion_propagates_as_asked(
        self, provider: KubernetesProvider, cluster: FakeCluster, asked: str, sent: str
    ) -> None:
        obj = config_map()
        if asked:
            obj["metadata"]["annotations"] = {"pulumi.com/deletionPropagationPolicy": asked}
        cluster.objects[CM_PATH] = obj
        provider.delete(CONFIG_MAP, "default/cm", obj | {"__inputs": obj}, 0)
        assert cluster.deleted == [(CM_PATH, sent)]


class TestReading:
    def test_what_is_gone_has_no_id(self, provider: KubernetesProvider) -> None:
        assert provider.read(CONFIG_MAP, "default/cm", config_map(), {})[0] == ""

    def test_drift_comes_back_as_inputs(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        cluster.objects[CM_PATH] = config_map(a="9", theirs="1")
        _, inputs, outputs = provider.read(CONFIG_MAP, "default/cm", config_map(a="1"), {})
        assert inputs == config_map(a="9")
        assert outputs["data"] == {"a": "9", "theirs": "1"}

    def test_an_object_can_be_read_by_its_id_alone(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        cluster.objects[CM_PATH] = config_map(a="9")
        id_, inputs, _ = provider.read(CONFIG_MAP, "default/cm", {}, {})
        assert (id_, inputs) == ("default/cm", config_map(a="9"))

    def test_what_is_only_read_is_refreshed_to_the_same_state_and_no_inputs(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        cluster.objects[CM_PATH] = config_map(a="9")
        _, _, outputs = provider.read(CONFIG_MAP, "default/cm", {}, {})
        refreshed = provider.read(CONFIG_MAP, "default/cm", {}, outputs)
        assert refreshed == ("default/cm", {}, outputs)


class TestWaiting:
    def test_an_object_is_returned_when_it_is_ready(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        cluster.events[DEPLOYMENTS] = [[("ADDED", deployment()), ("MODIFIED", rolled_out())]]
        id_, _ = provider.create(DEPLOYMENT, deployment(), 60, preview=False)
        assert id_ == "default/web"
        assert isinstance(provider.engine, RecordingEngine)
        assert provider.engine.shown[-2:] == [
            "[1/2] Waiting for app ReplicaSet be available (0/2 Pods available)",
            "",
        ]

    def test_a_missed_deadline_keeps_the_object_and_says_what_was_missing(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        waiting = {"reason": "ErrImagePull", "message": "for pa55word"}
        cluster.objects["/api/v1/namespaces/default/pods/web-1"] = {
            "metadata": {"name": "web-1"},
            "status": {"containerStatuses": [{"name": "web", "state": {"waiting": waiting}}]},
        }
        inputs = deployment() | {"hidden": Secret("pa55word")}
        with pytest.raises(InitializationFailedError) as caught:
            provider.create(DEPLOYMENT, inputs, 0.001, preview=False)
        assert caught.value.id == "default/web"
        assert caught.value.properties["__inputs"] == inputs
        assert "After 0.001 s, Deployment default/web is not ready: " in caught.value.reasons[0]
        assert caught.value.reasons[1] == "Pod web-1, container web: ErrImagePull for [secret]"

    def test_nothing_is_waited_for_when_asked_not_to(self, provider: KubernetesProvider) -> None:
        quick = deployment(annotations={"pulumi.com/skipAwait": "true"})
        assert provider.create(DEPLOYMENT, quick, 0, preview=False)[0] == "default/web"

    def test_a_wait_that_cannot_be_kept_up_still_keeps_the_object(
        self, provider: KubernetesProvider, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def forbidden(*_: object, **__: object) -> None:
            raise ApiError(403, "no watching here")

        monkeypatch.setattr(cluster, "follow", forbidden)
        with pytest.raises(InitializationFailedError, match="no watching here"):
            provider.create(DEPLOYMENT, deployment(), 60, preview=False)

    def test_cancelling_ends_a_wait(
        self, provider: KubernetesProvider, cluster: FakeCluster
    ) -> None:
        provider.cancel()
        with pytest.raises(InitializationFailedError, match="Waiting was cancelled"):
            provider.create(DEPLOYMENT, deployment(), 60, preview=False)
        assert cluster.interrupted

    def test_a_deleted_object_is_not_waited_for(self, cluster: FakeCluster) -> None:
        cluster.events[DEPLOYMENTS] = [[("ADDED", deployment()), ("DELETED", deployment())]]
        with pytest.raises(NotReadyError, match="was deleted meanwhile"):
            waiter(cluster).until_ready(deployment(), 60)

    def test_a_service_needs_endpoints_and_a_balancer_an_address(
        self, cluster: FakeCluster
    ) -> None:
        service = config_map("web") | {
            "kind": "Service",
            "spec": {"type": "LoadBalancer", "selector": {"app": "web"}},
        }
        slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        cluster.events[slices] = [[("ADDED", {"endpoints": [{"addresses": ["10.0.0.1"]}]})]]
        services = "/api/v1/namespaces/default/services"
        cluster.events[services] = [[("ADDED", service)]]
        with pytest.raises(NotReadyError, match="Waiting for an address for the Service"):
            waiter(cluster).until_ready(service, 0.001)
        addressed = service | {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}}
        cluster.events[slices] = [[("ADDED", {"endpoints": [{"addresses": ["10.0.0.1"]}]})]]
        cluster.events[services] = [[("ADDED", addressed)]]
        waiter(cluster).until_ready(service, 60)

    def test_a_service_without_pods_says_so(self, cluster: FakeCluster) -> None:
        service = config_map("web") | {"kind": "Service", "spec": {"selector": {"app": "web"}}}
        with pytest.raises(NotReadyError, match="Finding Pods to direct traffic to: none exists"):
            waiter(cluster).until_ready(service, 0.001)

    def test_a_claim_that_binds_late_is_not_waited_for(self, cluster: FakeCluster) -> None:
        claim = config_map() | {
            "kind": "PersistentVolumeClaim",
            "spec": {"storageClassName": "local"},
        }
        classes = "/apis/storage.k8s.io/v1/storageclasses"
        cluster.objects[f"{classes}/local"] = {"volumeBindingMode": "WaitForFirstConsumer"}
        waiter(cluster).until_ready(claim, 60)
        cluster.objects[f"{classes}/local"] = {"volumeBindingMode": "Immediate"}
        with pytest.raises(NotReadyError, match="Waiting for PersistentVolumeClaim"):
            waiter(cluster).until_ready(claim, 0.001)

    def test_an_object_that_stays_is_named_at_the_deadline(self, cluster: FakeCluster) -> None:
        cluster.objects[CM_PATH] = config_map()
        with pytest.raises(
            NotReadyError, match=r"After 0.001 s, ConfigMap default/cm is still there"
        ):
            waiter(cluster).until_gone(config_map(), 0.001)

    def test_the_timeout_is_the_users_then_the_annotations_then_ten_minutes(self) -> None:
        annotated = deployment(annotations={"pulumi.com/timeoutSeconds": "30"})
        assert timeout_of(annotated, 5) == 5
        assert timeout_of(annotated, 0) == 30
        assert timeout_of(deployment(), 0) == DEFAULT_TIMEOUT == 600


def waiter(cluster: FakeCluster) -> Waiter:
    return Waiter(cast("Cluster", cluster), lambda _: None, threading.Event())


class TestSettings:
    def test_the_switches_are_read_from_configuration_and_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert Settings.parse({}) == Settings()
        assert Settings.parse({"enableConfigMapMutable": "true"}).config_map_mutable
        monkeypatch.setenv("PULUMI_K8S_ENABLE_SECRET_MUTABLE", "true")
        assert Settings.parse({}).secret_mutable
        assert not Settings.parse({"enableSecretMutable": "false"}).secret_mutable

    def test_settings_that_would_be_ignored_are_refused(self) -> None:
        inputs = {
            "version": "4.34.2",
            "namespace": "n",
            "enableConfigMapMutable": "yes",
            "enableSecretMutable": "true",
            "enableServerSideApply": False,
            "renderYamlToDirectory": "out",
            "deleteUnreachable": "false",
        }
        assert [failure.property for failure in refused(inputs)] == [
            "enableConfigMapMutable",
            "enableServerSideApply",
            "renderYamlToDirectory",
        ]


class TestJobs:
    JOB = Resource("urn", "kubernetes:batch/v1:Job", "once")
    PATH = "/apis/batch/v1/namespaces/default/jobs/once"

    @staticmethod
    def _job(**annotations: str) -> Object:
        metadata = {"name": "once", "namespace": "default", "annotations": annotations}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}

    @pytest.mark.parametrize(
        ("conditions", "replaced"),
        [
            ([{"type": "Complete", "status": "True"}], 0),
            ([{"type": "Failed", "status": "True"}], 1),
            ([], 1),
        ],
        ids=["complete", "failed", "running"],
    )
    def test_one_that_has_not_completed_is_replaced_where_it_asks_for_it(
        self,
        provider: KubernetesProvider,
        cluster: FakeCluster,
        conditions: list[Any],
        replaced: int,
    ) -> None:
        asking, silent = self._job(**{"pulumi.com/replaceUnready": "true"}), self._job()
        cluster.objects[self.PATH] = asking | {"status": {"conditions": conditions}}
        found = provider.diff(self.JOB, asking, asking)
        assert [change.replaces for change in found.changes] == [True] * replaced
        assert found.delete_before_replace is bool(replaced)
        assert provider.diff(self.JOB, silent, silent).changes == []
