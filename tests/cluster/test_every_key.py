"""The stack that says every key (tests/support/every_key.yaml), where the cluster chooses users.

The imitation of OpenShift's `restricted-v2`: a policy gives pods that name no user one that no
image knows, in group 0, with a group for their volumes. Of the External Secrets operator the
cluster has the kind alone: the test writes what it would.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.cluster import object_storage
from sandbox.paths import Sandbox
from tests.cluster.data import query, redis
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.support.every_key import GIVEN, every_key

UID = 1_000_680_000
LABEL, ANNOTATION = "example.com/team", "example.com/owner"
STACK = every_key()
_POLICY = "random-uids"
_V1 = "admissionregistration.k8s.io/v1"
_MATCHED = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
    "resourceRules": [
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    ],
}
OF_CLUSTER: list[dict[str, Any]] = [
    {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        },
    },
    {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "agents"},
        "value": 1000,
    },
    {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "plain"},
        "handler": "runc",
    },
    {
        "apiVersion": _V1,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": _POLICY},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": _MATCHED,
            "matchConditions": [
                {
                    "name": "without-a-user",
                    "expression": "!has(object.spec.securityContext.runAsUser)",
                }
            ],
            "mutations": [
                {
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": {
                        "expression": "Object{spec: Object.spec{securityContext: "
                        f"Object.spec.securityContext{{runAsUser: {UID}, runAsGroup: 0, "
                        f"fsGroup: {UID}}}}}}}"
                    },
                }
            ],
        },
    },
    {
        "apiVersion": _V1,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": _POLICY},
        "spec": {"policyName": _POLICY},
    },
    {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "externalsecrets.external-secrets.io"},
        "spec": {
            "group": "external-secrets.io",
            "names": {"kind": "ExternalSecret", "plural": "externalsecrets"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": True,
                        }
                    },
                }
            ],
        },
    },
]
PASSWORDS = {name: f"kept-{name}" for name in ("database", "replication", "redis")}
MODELS = {"anthropic": "sk-kept", "google-api-key": "AIza-kept"}
OF_NAMESPACE: list[dict[str, Any]] = [
    {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "migrations", "namespace": NAMESPACE},
    },
    *(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "data": data,
        }
        for name, data in (("more", {"MORE": "more"}), ("company-ca", {"ca.crt": "company"}))
    ),
    {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "shared", "namespace": NAMESPACE},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "16Mi"}},
        },
    },
]
TOLD = """
import json, os
print(json.dumps({
    "user": os.getuid(),
    "env": [os.environ[name] for name in ("TZ", "FLAG_only", "MORE")],
    "files": [open(path).read().strip() for path in (
        "/etc/company/ca.crt", "/etc/flags/only", "/cache/first")],
}))
"""


@pytest.fixture(scope="module")
def deployed(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """That stack, in a Namespace that somebody else keeps; afterwards neither is left."""
    stack = Deployment(cluster, tmp_path_factory.mktemp("every"))
    stack.write()
    stack.forget_given()
    assert stack.command("destroy").returncode == 0
    keys = object_storage.credentials(cluster)
    storage = {"access-key": keys.access_key, "secret-key": keys.secret_key}
    kept = {"flags": {"only": "flag"}, "kept-models": MODELS, "kept-passwords": PASSWORDS}
    secrets = [_secret(name, data) for name, data in {**kept, "kept-storage": storage}.items()]
    for made in (OF_CLUSTER, [*OF_NAMESPACE, *secrets]):
        stack.kubectl("apply", "-f", "-", given=_list(made))
    try:
        stack.write(STACK)
        for path, value in GIVEN.items():
            stack.give(path, value)
        stack.up(STACK)
        yield stack
    finally:
        stack.command("destroy")
        stack.kubectl("delete", "--wait", "-f", "-", given=_list(OF_CLUSTER))


def _secret(name: str, data: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def _list(objects: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def _pods(deployed: Deployment) -> list[dict[str, Any]]:
    pods = [o for (kind, _), o in deployed.objects().items() if kind == "Pod"]
    return [dict(pod) for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def _eventually(look: Callable[[], object], what: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(2)


def test_it_comes_up_as_the_user_that_the_cluster_has_chosen(deployed: Deployment) -> None:
    pods = _pods(deployed)
    assert len(pods) >= 13
    for pod in pods:
        assert pod["spec"]["securityContext"]["runAsUser"] == UID
        assert pod["metadata"]["labels"][LABEL] == "agents"
        assert pod["metadata"]["annotations"][ANNOTATION] == "Ann & Bob"
        assert pod["spec"]["priority"] == 1000
        assert pod["spec"]["runtimeClassName"] == "plain"
        account = pod["spec"]["serviceAccountName"]
        assert pod["spec"]["automountServiceAccountToken"] is (
            account in {"postgresql-state", "migrations"}
        )


def test_it_makes_no_secret_that_somebody_else_keeps(deployed: Deployment) -> None:
    secrets = {name for kind, name in deployed.objects() if kind == "Secret"}
    assert secrets == {"ado-digest-key", "ado-registry"}


def test_jobs_end_beside_a_sidecar_that_does_not(deployed: Deployment) -> None:
    jobs = [o for (kind, _), o in deployed.objects().items() if kind == "Job"]
    assert len(jobs) == 3
    for job in jobs:
        states = {c["type"]: c["status"] for c in job["status"]["conditions"]}
        assert states["Complete"] == "True"
    name = next(job["metadata"]["name"] for job in jobs if "migrations" in job["metadata"]["name"])
    said = deployed.kubectl("logs", "-n", NAMESPACE, f"job/{name}", "-c", "ado-migrations")
    assert said.split() == ["prepared", str(UID)]


def test_the_applications_are_told_what_is_added(deployed: Deployment) -> None:
    for workload in ("ado-dashboard", "ado-worker"):
        told = json.loads(deployed.inside(TOLD, workload))
        assert told == {
            "user": UID,
            "env": ["Europe/Berlin", "flag", "more"],
            "files": ["company", "flag", "prepared"],
        }
    kept = deployed.inside("open('/mnt/x', 'w').write('kept'); print(1)", "ado-orchestrator")
    assert kept.strip() == "1"


def test_a_backup_is_made_listed_and_restored_beside_the_sidecar(deployed: Deployment) -> None:
    made = deployed.ops("postgres", "backup")
    assert made.returncode == 0, made.stdout + made.stderr
    listed = deployed.ops("postgres", "restore", "--list")
    assert listed.returncode == 0, listed.stdout + listed.stderr
    backup = listed.stdout.split()[-1]
    again = deployed.ops("postgres", "restore", backup, "--into-non-empty")
    assert again.returncode == 0, again.stdout + again.stderr


def test_the_stores_work_as_that_user_and_operators_reach_them(deployed: Deployment) -> None:
    password = PASSWORDS["database"]
    assert "16MB" in query(deployed, password, "SHOW work_mem", host="postgresql-ro")
    assert "1" in query(deployed, password, "CREATE TABLE IF NOT EXISTS t AS SELECT 1 AS n")
    assert "1 row" in query(deployed, password, "SELECT n FROM t", host="postgresql-ro")
    assert redis(deployed, PASSWORDS["redis"], "set key value") == "OK"
    deployed.wait_until_ready()  # a restore starts the writers anew
    for command in (("postgres", "status"), ("status",)):
        seen = deployed.ops(*command, "--check")
        assert seen.returncode == 0, seen.stdout + seen.stderr
    # Six nodes on three hosts: which of them share one is the scheduler's choice.
    seen = deployed.ops("redis", "status", "--check")
    found = seen.stdout.splitlines()
    shared = found and all("are both on" in line for line in found)
    assert seen.returncode == 0 or shared, seen.stdout + seen.stderr


def test_a_restarted_server_finds_its_data_and_its_peer(deployed: Deployment) -> None:
    before = deployed.pods("postgresql") | deployed.pods("redis")
    deployed.kubectl("delete", "pod", "-n", NAMESPACE, "postgresql-0", "redis-0")
    deployed.wait_until_ready()
    assert len((deployed.pods("postgresql") | deployed.pods("redis")) - before) == 2
    said = query(deployed, PASSWORDS["database"], "SELECT n FROM t", host="postgresql-ro")
    assert "1 row" in said


def test_the_autoscaler_sees_the_container_beside_the_sidecar(deployed: Deployment) -> None:
    def seen() -> bool:
        told = json.loads(deployed.kubectl("get", "hpa", "-n", NAMESPACE, "-o", "json"))
        current = [m for hpa in told["items"] for m in hpa["status"].get("currentMetrics") or ()]
        found = [m["containerResource"] for m in current if m.get("containerResource")]
        return {m["container"] for m in found} == {"api-gateway", "worker"}

    _eventually(seen, "no autoscaler has the CPU of its container")


def test_a_second_up_changes_nothing(deployed: Deployment) -> None:
    planned = deployed.preview(STACK)
    assert planned.succeeded, planned.errors
    assert set(planned.changes) == {"same"}, planned.text
