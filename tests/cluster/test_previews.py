"""What a pull request is shown: without a cluster, without rights, held against the policies."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.cluster import object_storage
from sandbox.deploy.outcome import Outcome
from sandbox.paths import Sandbox
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.reader import Reader, environment
from tests.cluster.test_platform_changes import WORKLOADS
from tests.support import checkouts
from tests.support.recording import ROOT

RIGHTS = ROOT / "deploy" / "preview-rights.yaml"
PAGE = (ROOT / "docs" / "pull-requests.md").read_text()
ONCE, ENVIRONMENT = PAGE.partition("\n## An environment for a pull request\n")[2].split("```")[
    1:4:2
]
TEMPLATE = (ROOT / "Pulumi.pr.yaml").read_text()
CHANGE: dict[str, Any] = {
    "ado:gateway": {"image": {"tag": "0.2.0"}},
    "ado:workerPools": {"more": {"image": {"tag": "0.1.0"}}},
}


@pytest.fixture(scope="module")
def deployed(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The dev stack as committed; previews change nothing of it."""
    deployment = Deployment(cluster, tmp_path_factory.mktemp("previews"))
    deployment.reset()
    return deployment


def planned(deployment: Deployment, kubeconfig: Path | None = None, **options: Any) -> Outcome:
    """A preview of what was written last, by whoever has this kubeconfig."""
    engine = deployment.engine()
    if kubeconfig:
        engine._environment["KUBECONFIG"] = str(kubeconfig)
    return engine.preview(**options)


@pytest.fixture
def nobody(deployed: Deployment, tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of the ServiceAccount of the rights, which are not given to it yet."""
    run = deployed.kubectl
    run("create", "serviceaccount", "ado-preview", "-n", NAMESPACE)
    config = yaml.safe_load(deployed.sandbox.kubeconfig.read_text())
    token = run("create", "token", "ado-preview", "-n", NAMESPACE).strip()
    for user in config["users"]:
        user["user"] = {"token": token}
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    yield file
    run("delete", "--ignore-not-found", "-f", str(RIGHTS))


def nowhere(deployment: Deployment, folder: Path) -> Path:
    """A kubeconfig whose cluster does not answer."""
    config = yaml.safe_load(deployment.sandbox.kubeconfig.read_text())
    for each in config["clusters"]:
        each["cluster"]["server"] = "https://127.0.0.1:1"
    file = folder / "nowhere"
    file.write_text(yaml.safe_dump(config))
    return file


def test_a_change_is_planned_the_same_without_rights_and_without_a_cluster(
    deployed: Deployment, nobody: Path, tmp_path: Path
) -> None:
    deployed.write(CHANGE)
    seen = planned(deployed, refresh=False)
    assert seen.succeeded, seen.errors
    assert set(seen.touched.values()) == {"create", "update"}
    assert "delete" not in seen.changes
    for kubeconfig in (nobody, nowhere(deployed, tmp_path), tmp_path / "no-such-file"):
        blind = planned(deployed, kubeconfig, refresh=False)
        assert blind.succeeded, blind.errors
        assert (blind.changes, blind.touched) == (seen.changes, seen.touched)


def test_a_stack_that_is_nowhere_yet_is_planned_without_a_cluster(
    deployed: Deployment, tmp_path: Path
) -> None:
    fresh = Deployment(deployed.sandbox, tmp_path, "prod")
    fresh.write()
    plan = planned(fresh, nowhere(deployed, tmp_path), refresh=False)
    assert plan.succeeded, plan.errors
    assert plan.changes.keys() == {"create"}


def test_the_shipped_rights_suffice_to_look_for_drift_and_change_nothing(
    deployed: Deployment, nobody: Path
) -> None:
    deployed.write()
    refused = planned(deployed, nobody)
    assert "forbidden" in " ".join(refused.errors)
    deployed.kubectl("apply", "-f", str(RIGHTS))
    same = planned(deployed, nobody)
    assert same.succeeded, same.errors
    assert set(same.changes) == {"same"}, same.touched
    scale = ("scale", "deployment", "ado-dashboard", "-n", NAMESPACE)
    deployed.kubectl(*scale, "--replicas=2")
    try:
        found = planned(deployed, nobody)
        drifted = {urn.rpartition("::")[2] for urn in found.touched}
        assert "ado-dashboard-workload-deployment" in drifted, found.errors
    finally:
        deployed.kubectl(*scale, "--replicas=1")


@pytest.fixture
def branch(deployed: Deployment, nobody: Path, tmp_path: Path) -> Reader:
    """Somebody on a branch of a clone, whose stack runs, with the rights of a preview."""
    deployed.write()
    engine = deployed.engine()
    deployed.kubectl("apply", "-f", str(RIGHTS))
    checkout = checkouts.copied(tmp_path / "ado")
    shutil.copy(engine.project / "Pulumi.dev.yaml", checkout)  # with the secrets of what runs
    own = environment(deployed.sandbox, tmp_path)
    reader = Reader(checkout, own | engine._environment | {"KUBECONFIG": str(nobody)})
    reader.types("git init --quiet --initial-branch=main && git add --all")
    reader.types("git -c user.name=n -c user.email=n@example.com commit --quiet --message base")
    return reader


def reviewed(branch: Reader) -> tuple[str, dict[str, Any]]:
    """The report that has the engine's own preview, and that preview."""
    branch.types("pulumi preview --json --refresh --stack dev > dev.json")
    review = ".venv/bin/python -m ado_infra.ops review --base main --stack dev --preview dev.json"
    return branch.types(review), json.loads((branch.checkout / "dev.json").read_text())


def acted_upon(told: dict[str, Any]) -> set[str]:
    """`Kind/name` of whatever the engine would touch."""
    states = [
        (step.get("newState") or step["oldState"])["inputs"]
        for step in told["steps"]
        if step["op"] not in {"same", "refresh", "read", "discard"}
    ]
    return {f"{each['kind']}/{each['metadata']['name']}" for each in states}


def secret_values(deployment: Deployment) -> set[str]:
    """What every Secret of the platform holds, as it stands there and decoded."""
    objects = deployment.objects().items()
    found = {
        value
        for (kind, _), manifest in objects
        if kind == "Secret"
        for value in (manifest.get("data") or {}).values()
    }
    return {*found, *(base64.b64decode(value).decode() for value in found)} - {""}


def test_a_report_says_what_the_engines_own_preview_says(
    deployed: Deployment, branch: Reader
) -> None:
    same, _ = reviewed(branch)
    assert same.splitlines()[1].startswith("Nothing changes in `dev`, compared with `main`")

    hpa = ("patch", "hpa", "ado-worker-hpa", "-n", NAMESPACE, "--type=merge", "--patch")
    try:
        deployed.kubectl(*hpa, '{"spec": {"maxReplicas": 97}}')
        deployed.kubectl("delete", "pdb", "ado-dashboard-pdb", "-n", NAMESPACE)
        branch.types("pulumi config set --stack dev --path ado:gateway.image.tag 0.2.0")
        branch.types("pulumi config set --stack dev --secret ado:redisPassword", "canary-given")
        monitoring = branch.checkout / "ado_infra" / "monitoring" / "monitoring.py"
        assert 'f"{name}-dashboard"' in monitoring.read_text()
        monitoring.write_text(monitoring.read_text().replace("{name}-dashboard", "{name}-board"))
        report, told = reviewed(branch)
    finally:
        deployed.kubectl(*hpa, '{"spec": {"maxReplicas": 3}}')
        deployed.up()

    # Of the branch's files, as without the engine:
    assert "| `Deployment/ado-api-gateway` | 1 to 2 |" in report
    assert "| `ado:gateway.image.tag` | `0.1.0` | `0.2.0` |" in report
    # What the engine alone knows:
    assert (
        "- **goes** `ConfigMap/ado-dashboard-grafana` is replaced, by the engine's preview "
        "(`its name within the program (URN)`)"
    ) in report
    _, _, table = report.partition("**By the engine's preview also**")
    table = table.partition("|---|---|---|\n")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", table, re.MULTILINE))
    assert rows == {
        "ConfigMap/ado-dashboard-grafana": "replaced",
        "HorizontalPodAutoscaler/ado-worker-hpa": "changed",
        "PodDisruptionBudget/ado-dashboard-pdb": "missing, made again",
    }
    # That a password is given that was generated before shows without the engine, too.
    given = {"Deployment/ado-orchestrator", "Deployment/ado-worker", "StatefulSet/redis"}
    given |= {"Deployment/ado-api-gateway", "Secret/ado-secrets", "Secret/redis"}
    assert [title for title in given if f"`{title}`" not in report] == []
    assert {*rows, *given} == acted_upon(told)
    text = json.dumps(told)
    for value in (*secret_values(deployed), "canary-given"):
        assert value not in text
        assert value not in report


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The policy pack of a checkout of its own, made ready as the workflows do it."""
    checkout = tmp_path_factory.mktemp("checkout")
    for name in ("Makefile", "requirements.txt", "policies", "ado_infra"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, checkout / name)
    shutil.rmtree(checkout / "policies" / ".venv", ignore_errors=True)
    make = ["make", "-C", checkout, "policies/.venv/ready", f"PYTHON={sys.executable}"]
    subprocess.run(make, check=True, capture_output=True, timeout=900)
    return checkout / "policies"


def test_the_policy_pack_passes_what_is_good_or_waived_and_refuses_the_rest(
    deployed: Deployment, pack: Path, tmp_path: Path
) -> None:
    deployed.write()
    good = planned(deployed, refresh=False, policies=pack)
    assert good.succeeded, good.errors
    assert "Policy Packs run" in good.text

    prod = Deployment(deployed.sandbox, tmp_path, "prod")
    prod.write()
    away = nowhere(deployed, tmp_path)  # on this cluster its names are the dev stack's
    broken = planned(prod, away, refresh=False, policies=pack)
    assert not broken.succeeded
    said = "\n".join(broken.errors)
    for remedy in ("image.digest", "ado:postgres.backup.bucket", "ado:redis.replicasPerMaster"):
        assert remedy in said
    assert "spread" not in said

    why = dict.fromkeys(("digests", "backup", "redis_replicas"), "this is a test")
    prod.write({"ado:policies": {"waived": why}})
    waived = planned(prod, away, refresh=False, policies=pack)
    assert waived.succeeded, waived.errors


def kept(deployment: Deployment) -> set[tuple[str, str]]:
    """All that is there but what comes and goes."""
    return {key for key in deployment.objects() if key[0] not in {"Pod", "ReplicaSet"}}


@pytest.fixture
def reader(deployed: Deployment, tmp_path: Path) -> Reader:
    """Somebody with a checkout, on a cluster where the dev stack runs."""
    checkout = checkouts.copied(tmp_path / "ado")
    template = checkout / "Pulumi.pr.yaml"
    endpoint = "https://s3.us-east-1.amazonaws.com"
    template.write_text(TEMPLATE.replace(endpoint, object_storage.ENDPOINT))
    object_storage.make_buckets(deployed.sandbox, re.findall(r"ado-shared-\w+", TEMPLATE))
    reader = Reader(checkout, environment(deployed.sandbox, tmp_path))
    reader.types("export PULUMI_CONFIG_PASSPHRASE=a-passphrase")
    reader.types(f"pulumi login 'file://{tmp_path}?metadata=skip'")
    return reader


def test_a_pull_request_has_an_environment_beside_dev_and_leaves_nothing(
    deployed: Deployment, reader: Reader
) -> None:
    first, model_key, access_key, secret_key = ONCE.strip().splitlines()
    up, down = ENVIRONMENT.strip().splitlines()
    before = kept(deployed)
    keys = object_storage.credentials(deployed.sandbox)
    reader.types(first)
    reader.types(model_key, "any")
    reader.types(access_key, keys.access_key)
    reader.types(secret_key, keys.secret_key)
    reader.types(up)
    tiers = deployed.wait_until_ready("ado-pr-123")
    assert {tier.name for tier in tiers if tier.kind != "Job"} == set(WORKLOADS)
    deployed.wait_until_ready()
    reader.types(down)
    assert "ado-pr-123" not in deployed.kubectl("get", "namespaces", "-o", "name")
    assert "pr-123" not in reader.types("pulumi stack ls")
    assert not (reader.checkout / "Pulumi.pr-123.yaml").exists()
    assert kept(deployed) == before
