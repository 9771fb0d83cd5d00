"""What a stack adds to pods: the same in each tier, pool, store and Job, and nothing overridden."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import kubernetes_validate
import pulumi
import pytest
import yaml

from ado_infra.kit.pod_options import Extension, PodOptions, SecurityContext, combined
from ado_infra.policies import findings
from ado_infra.render.objects import RenderedObject
from tests.support.manifests import templates
from tests.support.recording import Recording, record_stack, settings_of

IMAGE = "registry.example.com/mesh@sha256:" + "a" * 64
RESOURCES = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}}
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
STEADY = "preferredDuringSchedulingIgnoredDuringExecution"
MUST = "requiredDuringSchedulingIgnoredDuringExecution"
GPU_NODES = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]}
FAR = {"weight": 1, "podAffinityTerm": {"topologyKey": ZONE, "labelSelector": {"matchLabels": {}}}}
POD: dict[str, Any] = {
    "env": {"TZ": "Europe/Berlin"},
    "envFrom": [{"secret": "flags", "prefix": "FLAG_"}, {"configMap": "more"}],
    "volumes": [
        {"name": "ca", "configMap": "company-ca", "mountPath": "/etc/company"},
        {"name": "key", "secret": "key", "mountPath": "/etc/key.pem", "subPath": "key.pem"},
        {"name": "cache", "emptyDir": "3Gi", "mountPath": "/cache"},
        {"name": "of-mesh", "emptyDir": "1Gi"},
        {
            "name": "shared",
            "persistentVolumeClaim": "shared",
            "mountPath": "/mnt",
            "readOnly": True,
        },
        {
            "name": "vault",
            "csi": {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"class": "x"}},
            "readOnly": True,
            "mountPath": "/vault",
        },
    ],
    "sidecars": [
        {
            "name": "mesh",
            "image": IMAGE,
            "args": ["--quiet"],
            "env": {"MESH": "1"},
            "envFrom": [{"secret": "mesh"}],
            "ports": {"inbound": 15006},
            "resources": RESOURCES,
            "volumeMounts": [{"name": "of-mesh", "mountPath": "/run/mesh"}],
        }
    ],
    "initContainers": [
        {
            "name": "wait",
            "image": IMAGE,
            "command": ["wait"],
            "resources": RESOURCES,
            "volumeMounts": [{"name": "cache", "mountPath": "/cache", "readOnly": True}],
        }
    ],
    "labels": {"example.com/team": "agents"},
    "annotations": {"example.com/owner": "Ann & Bob"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [
        {"key": "dedicated", "value": "agents", "effect": "NoSchedule"},
        {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
    ],
    "affinity": {"nodeAffinity": {MUST: GPU_NODES}, "podAntiAffinity": {STEADY: [FAR]}},
    "topologySpread": [
        {"topologyKey": "rack", "maxSkew": 2},
        {"topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule"},
    ],
    "priorityClassName": "high",
    "runtimeClassName": "gvisor",
    "hostUsers": False,
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"}},
    "securityContext": "cluster",
}
SECTIONS = ("gateway", "dashboard", "orchestrator", "redis")
WORKLOADS = {
    "ado-api-gateway",
    "ado-dashboard",
    "ado-orchestrator",
    "ado-worker",
    "postgresql",
    "redis",
    "ado-migrations",
    "postgresql-backup",
}
OURS_ALONE = {"postgresql-state-begin", "redis-cluster-create"}
"""Jobs that no section of a stack is about."""


def _everywhere(pod: Mapping[str, Any]) -> dict[str, Any]:
    """A stack's sections, each with these options of its own."""
    return {
        **{
            f"ado:{name}": {"pod": pod}
            for name in ("gateway", "dashboard", "orchestrator", "redis")
        },
        "ado:workerPools": {"default": {"pod": pod}},
        "ado:postgres": {"pod": pod, "backup": {"bucket": "backups", "pod": pod}},
        "ado:migrations": {"command": ["x"], "pod": pod},
    }


BARE = _everywhere({})


def _templates(stack: Recording) -> dict[str, dict[str, Any]]:
    """Every pod template by the name of what has it, a Job's without its digest."""
    found = {re.sub(r"-[0-9a-f]{10}$", "", name): t for name, t in templates(stack).items()}
    (cron,) = stack.of_kind("CronJob")
    return {**found, "postgresql-backup": cron["spec"]["jobTemplate"]["spec"]["template"]}


@pytest.fixture(scope="module")
def bare() -> dict[str, dict[str, Any]]:
    """The pods of a stack that adds nothing."""
    return _templates(record_stack("dev", changes=BARE))


@pytest.fixture(scope="module")
def by_sections() -> Recording:
    """A stack that adds everything in each section, and nothing for all pods."""
    return record_stack("dev", changes=_everywhere(POD))


@pytest.fixture(scope="module")
def for_all() -> Recording:
    """A stack that adds everything to all pods at once."""
    return record_stack("dev", changes={**BARE, "ado:pods": POD})


def _ours(template: Mapping[str, Any]) -> list[dict[str, Any]]:
    spec = template["spec"]
    every = [*spec.get("initContainers", ()), *spec["containers"]]
    return [each for each in every if each["name"] not in {"mesh", "wait"}]


def test_a_section_adds_to_its_own_pods_and_to_no_others(
    by_sections: Recording, bare: dict[str, dict[str, Any]]
) -> None:
    found = _templates(by_sections)
    assert found.keys() == bare.keys() == WORKLOADS | OURS_ALONE
    assert {name for name in found if found[name] != bare[name]} == WORKLOADS


def test_what_is_said_once_for_all_is_as_if_each_section_said_it(
    by_sections: Recording, for_all: Recording
) -> None:
    each, once = _templates(by_sections), _templates(for_all)
    for name in WORKLOADS - {"postgresql-backup", "ado-migrations"}:
        assert once[name] == each[name]
    for name in OURS_ALONE:
        assert once[name]["metadata"]["labels"]["example.com/team"] == "agents"


def test_every_key_is_in_the_pods_of_each(
    for_all: Recording, bare: dict[str, dict[str, Any]]
) -> None:
    for name, template in _templates(for_all).items():
        spec, before = template["spec"], bare[name]["spec"]
        labels, annotations = template["metadata"]["labels"], template["metadata"]["annotations"]
        assert labels == bare[name]["metadata"]["labels"] | {"example.com/team": "agents"}
        assert annotations["example.com/owner"] == "Ann & Bob"
        for container, plain in zip(_ours(template), _ours(bare[name]), strict=True):
            assert container["env"] == [
                *plain.get("env", ()),
                {"name": "TZ", "value": "Europe/Berlin"},
            ]
            assert container["envFrom"] == [
                {"prefix": "FLAG_", "secretRef": {"name": "flags"}},
                {"configMapRef": {"name": "more"}},
            ]
            assert container["volumeMounts"] == [
                *plain["volumeMounts"],
                {"name": "ca", "mountPath": "/etc/company", "readOnly": True},
                {
                    "name": "key",
                    "mountPath": "/etc/key.pem",
                    "subPath": "key.pem",
                    "readOnly": True,
                },
                {"name": "cache", "mountPath": "/cache"},
                {"name": "shared", "mountPath": "/mnt", "readOnly": True},
                {"name": "vault", "mountPath": "/vault", "readOnly": True},
            ]
        assert spec["volumes"][len(before["volumes"]) :] == [
            {"name": "ca", "configMap": {"name": "company-ca"}},
            {"name": "key", "secret": {"secretName": "key", "defaultMode": 0o440}},
            {"name": "cache", "emptyDir": {"sizeLimit": "3Gi"}},
            {"name": "of-mesh", "emptyDir": {"sizeLimit": "1Gi"}},
            {
                "name": "shared",
                "persistentVolumeClaim": {"claimName": "shared", "readOnly": True},
            },
            {
                "name": "vault",
                "csi": {
                    "driver": "secrets-store.csi.k8s.io",
                    "readOnly": True,
                    "volumeAttributes": {"class": "x"},
                },
            },
        ]
        assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
        assert spec["tolerations"] == [
            {
                "key": "dedicated",
                "operator": "Equal",
                "value": "agents",
                "effect": "NoSchedule",
            },
            {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
        ]
        assert spec["priorityClassName"] == "high"
        assert spec["runtimeClassName"] == "gvisor"
        assert spec["hostUsers"] is False
        assert spec["affinity"]["nodeAffinity"] == {MUST: GPU_NODES}


def test_ours_stays_beside_what_is_added_to_affinity_and_spread(
    for_all: Recording, bare: dict[str, dict[str, Any]]
) -> None:
    for name, template in _templates(for_all).items():
        kept = bare[name]["spec"].get("affinity", {}).get("podAntiAffinity", {})
        given = template["spec"]["affinity"]["podAntiAffinity"]
        assert given[STEADY] == [*kept.get(STEADY, ()), FAR]
        assert given.get(MUST) == kept.get(MUST)
        spread = template["spec"].get("topologySpreadConstraints")
        if "app" not in template["metadata"]["labels"]:  # a Job
            assert spread is None
            continue
        one = {"labelSelector": {"matchLabels": {"app": name}}}
        assert spread == [
            {**one, "topologyKey": "rack", "maxSkew": 2, "whenUnsatisfiable": "ScheduleAnyway"},
            {**one, "topologyKey": ZONE, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"},
        ]


def test_added_containers_come_first_hardened_and_end_with_a_job(for_all: Recording) -> None:
    for template in _templates(for_all).values():
        mesh, wait = template["spec"]["initContainers"][:2]
        assert (mesh["name"], mesh["restartPolicy"]) == ("mesh", "Always")
        assert "restartPolicy" not in wait
        assert (mesh["args"], wait["command"]) == (["--quiet"], ["wait"])
        assert mesh["env"] == [{"name": "MESH", "value": "1"}]
        assert mesh["envFrom"] == [{"secretRef": {"name": "mesh"}}]
        assert mesh["ports"] == [{"name": "inbound", "containerPort": 15006}]
        assert mesh["volumeMounts"] == [{"name": "of-mesh", "mountPath": "/run/mesh"}]
        assert wait["volumeMounts"] == [{"name": "cache", "mountPath": "/cache", "readOnly": True}]
        for container in (mesh, wait):
            assert container["securityContext"] == _ours(template)[0]["securityContext"]
            assert container["resources"]["limits"].items() >= RESOURCES["limits"].items()


def test_directories_that_are_added_count_as_ours_do(
    for_all: Recording, bare: dict[str, dict[str, Any]]
) -> None:
    storage, safe = (
        "ephemeral-storage",
        "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes",
    )
    worker, before = _templates(for_all)["ado-worker"], bare["ado-worker"]
    assert _ours(before)[0]["resources"]["limits"][storage] == "11Gi"
    assert _ours(worker)[0]["resources"]["limits"][storage] == "15Gi"
    assert worker["metadata"]["annotations"][safe] == "cache,of-mesh,tmp,workspace"


def test_every_object_is_valid_and_obeys_the_policies(for_all: Recording) -> None:
    objects = [
        RenderedObject(manifest=each.manifest, wave=0, ignored=(), protect=False, secrets=())
        for each in for_all.objects
    ]
    for each in objects:
        if each.kind != "ServiceMonitor":
            plain = json.loads(json.dumps(each.manifest), parse_float=lambda n: int(float(n)))
            kubernetes_validate.validate(plain, "1.37", strict=True)
    assert findings(objects, production=False) == []


def test_workload_identity_gets_an_account_of_its_own_without_a_token(for_all: Recording) -> None:
    made = {each["metadata"]["name"]: each for each in for_all.of_kind("ServiceAccount")}
    assert made.keys() == WORKLOADS | {"redis-cluster-create", "postgresql-state"}
    for name, template in _templates(for_all).items():
        spec = template["spec"]
        if name == "postgresql-state-begin":  # it asks the API server, as itself
            assert spec["serviceAccountName"] == "postgresql-state"
            assert spec["automountServiceAccountToken"] is True
            continue
        assert spec["serviceAccountName"] == name
        assert spec["automountServiceAccountToken"] is False
        annotations = POD["serviceAccount"]["annotations"]
        assert made[name]["metadata"]["annotations"] == annotations
        assert made[name]["automountServiceAccountToken"] is False


def test_an_existing_account_is_named_and_its_token_given_where_asked() -> None:
    account = {"serviceAccount": {"name": "theirs", "token": True}}
    stack = record_stack("dev", changes={"ado:gateway": {"pod": account}})
    spec = templates(stack)["ado-api-gateway"]["spec"]
    assert spec["serviceAccountName"] == "theirs"
    assert spec["automountServiceAccountToken"] is True
    assert "ado-api-gateway" not in {
        each["metadata"]["name"] for each in stack.of_kind("ServiceAccount")
    }


def test_the_users_are_the_clusters_and_all_else_stays_restricted(
    for_all: Recording, bare: dict[str, dict[str, Any]]
) -> None:
    for name, template in _templates(for_all).items():
        before = bare[name]["spec"]["securityContext"]
        users = {key: before[key] for key in ("runAsUser", "runAsGroup", "fsGroup")}
        assert template["spec"]["securityContext"] | users == before
        assert not users.keys() & template["spec"]["securityContext"].keys()


def test_postgresql_runs_as_any_user_where_the_cluster_chooses(
    for_all: Recording, bare: dict[str, dict[str, Any]]
) -> None:
    start = bare["postgresql"]["spec"]["containers"][0]["command"]
    assert start == ["/bin/sh", "/etc/ado/config/start.sh"]
    (container,) = _templates(for_all)["postgresql"]["spec"]["containers"]
    script = container["command"][1].rpartition("/")[2]
    assert script == "as_any_user.sh"
    assert (
        'exec /bin/sh "$CONFIG/start.sh"'
        in for_all.get("ConfigMap", "postgresql-config")["data"][script]
    )


def test_the_autoscaler_counts_the_container_beside_sidecars(for_all: Recording) -> None:
    for name in ("api-gateway", "worker"):
        metrics = for_all.get("HorizontalPodAutoscaler", f"ado-{name}-hpa")["spec"]["metrics"]
        assert metrics[-1] == {
            "type": "ContainerResource",
            "containerResource": {
                "name": "cpu",
                "container": name,
                "target": {"type": "Utilization", "averageUtilization": 70},
            },
        }


def test_a_device_is_asked_for_by_its_limit_or_by_both() -> None:
    changes = {
        "ado:gateway": {"resources": {"limits": {"nvidia.com/gpu": 1}}},
        "ado:dashboard": {
            "resources": {side: {"nvidia.com/gpu": 2} for side in ("requests", "limits")}
        },
    }
    found = templates(record_stack("dev", changes=changes))
    gateway, dashboard = (
        found[f"ado-{name}"]["spec"]["containers"][0]["resources"]
        for name in ("api-gateway", "dashboard")
    )
    assert gateway["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in gateway["requests"]
    assert dashboard["limits"]["nvidia.com/gpu"] == dashboard["requests"]["nvidia.com/gpu"] == "2"


def test_a_job_that_gets_something_else_is_made_anew_and_else_stays() -> None:
    def names(changes: dict[str, Any]) -> set[str]:
        return templates(record_stack("dev", changes=changes), "Job").keys() | set()

    before = names({})
    assert names({"ado:gateway": {"pod": {"env": {"A": "b"}}}}) == before
    assert not names({"ado:pods": {"nodeSelector": {"a": "b"}}}) & before


def test_the_namespace_may_be_left_without_labels_of_pod_security() -> None:
    changes = {"ado:namespace": {"podSecurity": False}}
    labels = record_stack("dev", changes=changes).only("Namespace")["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "ado"
    assert not [key for key in labels if key.startswith("pod-security")]


OVERRIDES: dict[str, tuple[dict[str, Any], str]] = {
    "variable": (
        {"ado:gateway": {"pod": {"env": {"DATABASE_POOL_SIZE": "99"}}}},
        "ado:gateway.pod.env.DATABASE_POOL_SIZE: the platform sets it itself in container api-g",
    ),
    "variable for all": (
        {"ado:pods": {"env": {"PGDATA": "/x"}}},
        "ado:pods.env.PGDATA: the platform sets it itself in container postgresql; remove it",
    ),
    "annotation": (
        {"ado:gateway": {"pod": {"annotations": {"checksum/config": "x"}}}},
        "ado:gateway.pod.annotations.checksum/config: the platform sets it itself; remove it",
    ),
    "name of a volume": (
        {"ado:workerPools": {"default": {"pod": {"volumes": [{"name": "tmp", "secret": "x"}]}}}},
        r"ado:workerPools.default.pod.volumes\[0\].name = tmp: these pods have a volume of that",
    ),
    "name of a claim": (
        {"ado:redis": {"pod": {"volumes": [{"name": "data", "emptyDir": "1Gi"}]}}},
        r"ado:redis.pod.volumes\[0\].name = data: these pods have a volume of that name",
    ),
    "path": (
        {"ado:redis": {"pod": {"volumes": [{"name": "x", "secret": "x", "mountPath": "/data"}]}}},
        r"ado:redis.pod.volumes\[0\].mountPath = /data: container redis has something else there",
    ),
    "name of a container": (
        {
            "ado:postgres": {
                "pod": {
                    "sidecars": [{"name": "postgresql", "image": "a:1", "resources": RESOURCES}]
                }
            }
        },
        r"ado:postgres.pod.sidecars\[0\].name = postgresql: these pods have such a container",
    ),
    "port": (
        {
            "ado:gateway": {
                "pod": {
                    "sidecars": [
                        {
                            "name": "x",
                            "image": "a:1",
                            "resources": RESOURCES,
                            "ports": {"own": 9090},
                        }
                    ]
                }
            }
        },
        r"ado:gateway.pod.sidecars\[0\].ports.own = 9090: these pods have such a port",
    ),
    "volume of nobody": (
        {
            "ado:gateway": {
                "pod": {
                    "initContainers": [
                        {
                            "name": "x",
                            "image": "a:1",
                            "resources": RESOURCES,
                            "volumeMounts": [{"name": "y", "mountPath": "/y"}],
                        }
                    ]
                }
            }
        },
        r"ado:gateway.pod.initContainers\[0\].volumeMounts: no volume y is among `volumes`",
    ),
}


@pytest.mark.parametrize(("changes", "message"), OVERRIDES.values(), ids=OVERRIDES)
def test_nothing_of_ours_is_overridden(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(pulumi.RunError, match=message):
        record_stack("dev", changes=changes)


def _options(text: str) -> PodOptions:
    return PodOptions.model_validate_json(json.dumps(yaml.safe_load(text)))


def test_own_options_are_merged_into_those_of_all() -> None:
    defaults = _options("""
        env: { A: all, B: all }
        envFrom: [{ secret: one }]
        volumes: [{ name: x, secret: one }, { name: y, secret: one }]
        tolerations: [{ key: a, operator: Exists }]
        topologySpread: [{ topologyKey: rack, maxSkew: 5 }]
        priorityClassName: low
        runtimeClassName: gvisor
        hostUsers: false
        serviceAccount: { name: one }
        securityContext: cluster
    """)
    own = _options("""
        env: { B: own, C: own }
        envFrom: [{ secret: two }]
        volumes: [{ name: y, configMap: two }]
        tolerations: [{ key: b, operator: Exists }]
        topologySpread: [{ topologyKey: rack }]
        priorityClassName: high
        hostUsers: true
        serviceAccount: { annotations: { a: b } }
        securityContext: restricted
    """)
    assert combined(defaults, own) == _options("""
        env: { A: all, B: own, C: own }
        envFrom: [{ secret: one }, { secret: two }]
        volumes: [{ name: x, secret: one }, { name: y, configMap: two }]
        tolerations: [{ key: a, operator: Exists }, { key: b, operator: Exists }]
        topologySpread: [{ topologyKey: rack }]
        priorityClassName: high
        runtimeClassName: gvisor
        hostUsers: true
        serviceAccount: { annotations: { a: b } }
        securityContext: restricted
    """)
    assert combined(defaults, PodOptions()) == combined(PodOptions(), defaults) == defaults


def test_of_nodes_that_both_demand_both_hold() -> None:
    # Terms of one rule are alternatives: joined as they stand, either would do.
    rule = "affinity: {{ nodeAffinity: {{ %s: {{ nodeSelectorTerms: {} }} }} }}" % MUST  # noqa: UP031
    one = _options(rule.format("[{matchExpressions: [{key: a, operator: Exists}]}]"))
    other = _options(
        rule.format(
            "[{matchExpressions: [{key: b, operator: Exists}]},"
            " {matchFields: [{key: metadata.name, operator: In, values: [n]}]}]"
        )
    )
    joined = combined(one, other).affinity
    assert joined is not None
    a, b = ({"key": key, "operator": "Exists"} for key in "ab")
    node = {"key": "metadata.name", "operator": "In", "values": ["n"]}
    assert joined.node_affinity[MUST]["nodeSelectorTerms"] == [
        {"matchExpressions": [a, b]},
        {"matchExpressions": [a], "matchFields": [node]},
    ]


def test_who_says_something_is_named() -> None:
    extension = Extension(
        (("ado:pods", _options("env: {A: x, B: x}")), ("ado:x.pod", _options("env: {B: y}")))
    )
    assert extension.options.env == {"A": "x", "B": "y"}
    assert extension.key("env", "A") == "ado:pods.env.A"
    assert extension.key("env", "B") == "ado:x.pod.env.B"


def test_settings_made_in_python_say_the_same() -> None:
    stack = settings_of("dev", {"ado:redis": {"pod": {"securityContext": "cluster"}}})
    assert stack.redis.pod == PodOptions(security_context=SecurityContext.CLUSTER)
