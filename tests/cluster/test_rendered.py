"""Rendered files, applied by `kubectl` as docs/gitops.md says, beside what `up` makes."""

from __future__ import annotations

import base64
import json
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ado_infra.ops.platform.reading import PART_OF
from ado_infra.render.waves import ANNOTATION
from ado_infra.review.differences import fields
from ado_infra.review.pods import read_by
from sandbox.cluster import object_storage
from sandbox.paths import Sandbox
from tests.cluster.deployment import NAMESPACE, Deployment
from tests.cluster.reader import Reader, environment
from tests.cluster.test_day_two import AS_DEPLOYED
from tests.support.recording import ROOT

OTHER = "ado-rendered"
PAGE = (ROOT / "docs" / "gitops.md").read_text()
APPLY = [
    line.replace("rendered/prod", "rendered").replace(NAMESPACE, OTHER)
    for line in PAGE.partition("\n## Secrets\n")[2].split("```")[1].strip().splitlines()
]
DIFFERENCES = PAGE.partition("\n## What differs in the cluster\n")[2].partition("\n## ")[0]
DOCUMENTED = re.findall(r"^\| `([^`]+)` \|", DIFFERENCES, re.MULTILINE)
"""Paths, with `…` where a name stands."""
LED = {"postgresql", "postgresql-ro"}
"""Services whose selectors the record writes."""
SAME = "Secret/ado-object-storage"
"""There is one pair of keys to fill in, which the stack that runs has, too."""
KINDS = (
    "configmaps,secrets,deployments,statefulsets,jobs,cronjobs,services,ingresses,hpa,pdb,"
    "networkpolicies,servicemonitors,serviceaccounts,roles,rolebindings"
)
OF_SERVER = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
OF_CONTROLLERS = (
    *("deployment.kubernetes.io/revision", "controller-uid", "batch.kubernetes.io/controller-uid"),
)
Objects = dict[str, dict[str, Any]]
"""`Kind/name` → manifest."""


@dataclass(frozen=True)
class Both:
    """A platform that `up` made, and one that `kubectl` made of the same settings beside it."""

    deployment: Deployment
    reader: Reader

    def living(self, namespace: str) -> Objects:
        """All of one, without what the server and controllers add."""
        get = ("get", "-o", "json", "-l", PART_OF)
        kubectl = self.deployment.kubectl
        listed = json.loads(kubectl(*get, KINDS, "-n", namespace))["items"]
        spaces = json.loads(kubectl(*get, "namespaces"))["items"]
        listed += [each for each in spaces if each["metadata"]["name"] == namespace]
        found = _by_title(listed, namespace)
        for title in [*found]:
            if title.startswith("HorizontalPodAutoscaler/"):
                target = found[title]["spec"]["scaleTargetRef"]
                del found[f"{target['kind']}/{target['name']}"]["spec"]["replicas"]
        return {title: _settled(manifest) for title, manifest in found.items()}

    def written(self) -> Objects:
        """What the files say."""
        files = (self.reader.checkout / "rendered").rglob("*-*.yaml")
        return _by_title([yaml.safe_load(file.read_text()) for file in files], OTHER)

    def led(self) -> list[Any]:
        """Where the record has led the Services."""
        found = self.living(OTHER)
        return [found[f"Service/{name}"]["spec"]["selector"] for name in sorted(LED)]


@pytest.fixture(scope="module")
def both(cluster: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """The dev stack as it runs, and the same rendered, filled in and applied, once it is Ready."""
    folder = tmp_path_factory.mktemp("rendered")
    deployment = Deployment(cluster, folder)
    deployment.reset()
    deployment.write({**AS_DEPLOYED, "ado:namespace": {"name": OTHER}})
    done = deployment.ops("render", "--out", "rendered")
    assert done.returncode == 0, done.stderr
    shutil.copytree(folder / "rendered" / "secrets", folder / "FILLED-IN")
    _fill_in(folder / "FILLED-IN", deployment)
    reader = Reader(folder, environment(cluster, folder))
    try:
        for line in APPLY:
            reader.types(line)
        deployment.wait_until_ready(OTHER)
        yield Both(deployment, reader)
    finally:
        deployment.remove(OTHER)


def _fill_in(folder: Path, deployment: Deployment) -> None:
    """Something real for every placeholder, the same for the same one."""
    keys = object_storage.credentials(deployment.sandbox)
    values = {
        "objectStorageAccessKey": keys.access_key,
        "objectStorageSecretKey": keys.secret_key,
    }

    def real(placeholder: re.Match[str]) -> str:
        return values.setdefault(placeholder[1], secrets.token_hex(16))

    for file in folder.iterdir():
        secret = yaml.safe_load(file.read_text())
        for key, value in secret["data"].items():
            text = re.sub(r"PLACEHOLDER-([\w-]+)", real, base64.b64decode(value).decode())
            secret["data"][key] = base64.b64encode(text.encode()).decode()
        file.write_text(yaml.safe_dump(secret))


def _by_title(manifests: list[dict[str, Any]], namespace: str) -> Objects:
    """By kind and name, all of them as if they were in one and the same namespace."""
    found = json.loads(json.dumps(manifests).replace(namespace, NAMESPACE))
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in found}


def _settled(manifest: dict[str, Any]) -> dict[str, Any]:
    """The same without what nobody has written."""
    kind, metadata, spec = manifest["kind"], manifest["metadata"], manifest.get("spec") or {}
    manifest.pop("status", None)
    for key in OF_SERVER:
        metadata.pop(key, None)
    if kind == "Service" and spec["clusterIP"] != "None":
        del spec["clusterIP"], spec["clusterIPs"]
    if kind == "Namespace":
        del metadata["labels"]["kubernetes.io/metadata.name"]
    if metadata["name"] == "ado-dashboard-grafana":
        manifest["data"] = "its title and its file's name say in which namespace"
    kept: dict[str, Any] = _without(manifest)
    kept["metadata"].setdefault("annotations", {})  # so that they are compared one by one
    return kept


def _without(value: Any) -> Any:
    """The same without what controllers note, and what is empty."""
    if isinstance(value, Mapping):
        kept = {key: _without(each) for key, each in value.items() if key not in OF_CONTROLLERS}
        return {key: each for key, each in kept.items() if each not in ({}, None)}
    return [_without(each) for each in value] if isinstance(value, list) else value


def _documented(path: str) -> str:
    """A path as the page has it."""
    return re.sub(r"^data\..+", "data.…", re.sub(r"checksum/.+", "checksum/…", path))


def test_what_kubectl_applies_differs_from_what_up_makes_where_the_page_says(both: Both) -> None:
    deployed, applied = both.living(NAMESPACE), both.living(OTHER)
    assert applied.keys() == deployed.keys() == both.written().keys()
    found: dict[str, set[str]] = {}
    for title, manifest in deployed.items():
        for each in fields(manifest, applied[title]):
            found.setdefault(_documented(each.path), set()).add(title)
    in_waves = {t for t, m in both.written().items() if ANNOTATION in str(m["metadata"])}
    readers = {
        title
        for title, manifest in deployed.items()
        if not title.startswith("Job/")  # which rolls for nothing
        and any(read.startswith("Secret/") for read in read_by(manifest).values())
    }
    filled = {title for title in deployed if title.startswith("Secret/")} - {SAME}
    assert found == dict(zip(DOCUMENTED, (in_waves, readers, filled), strict=True))


def test_a_second_apply_is_refused_the_services_that_the_record_leads(both: Both) -> None:
    led = both.led()
    assert all("nobody" not in selector.values() for selector in led)
    for line in APPLY[:-1]:
        both.reader.types(line)
    said = both.reader.types(f"{APPLY[-1]} 2>&1 || true")
    assert said.count('conflict with "ado-ops": .spec.selector') == len(LED), said
    assert both.led() == led
