"""The dev stack's resources, in the words of every program that is measured."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ado_infra.render.monitor import Registration
from ado_infra.render.objects import RenderedObject, rendered
from ado_infra.render.program import run
from ado_infra.render.stack_file import read_stack
from ado_infra.render.text import document
from tests.support.recording import ROOT

STACK = "dev"
_KEYS = ("ado:objectStorageAccessKey", "ado:objectStorageSecretKey")
"""Secrets that the stack as it is deployed has beside what it says."""
_CAPITAL = re.compile(r"(?<=[a-z])[A-Z]")
NOT_AWAITED = {"pulumi.com/skipAwait": "true"}


@dataclass(frozen=True)
class Made:
    """What the stack registers: `resources` with its components, and the `objects` among it."""

    resources: Sequence[Registration]
    objects: Sequence[RenderedObject]


def made(namespace: str) -> Made:
    """The stack in another namespace, with placeholders for secrets."""
    stack = read_stack(ROOT, STACK).with_placeholders(*_KEYS)
    config = {**stack.config, "ado:namespace": json.dumps({"name": namespace})}
    resources = run(replace(stack, config=config)).registrations
    return Made(resources, rendered(resources))


def write_manifests(directory: Path, objects: Sequence[RenderedObject]) -> None:
    """A file each."""
    for each in objects:
        path = directory / each.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(each.text())


def write_kustomization(directory: Path, objects: Sequence[RenderedObject]) -> None:
    """What kustomize builds them from."""
    write_manifests(directory, objects)
    listed = {"resources": [each.path for each in objects]}
    (directory / "kustomization.yaml").write_text(document(listed))


def write_chart(directory: Path, objects: Sequence[RenderedObject]) -> None:
    """A chart of Helm's whose templates are the objects as they are."""
    for each in objects:
        path = directory / "templates" / each.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(verbatim(each.text()))
    chart = {"apiVersion": "v2", "name": "ado", "version": "0.1.0"}
    (directory / "Chart.yaml").write_text(document(chart))


def verbatim(text: str) -> str:
    """A template of Helm's that says this; dashboards have braces of their own."""
    return text.replace("{{", '{{ "{{" }}')


def write_bare(directory: Path, stack: Made) -> Path:
    """The bare program, with what it reads: the Namespace first; nothing of it is waited for."""
    made = [_bare(each, stack.objects) for each in stack.resources if each.custom]
    made.sort(key=lambda each: each["class"] != "Namespace")
    (directory / "resources.json").write_text(json.dumps(made))
    return Path(shutil.copy(Path(__file__).with_name("bare.py"), directory))


def _bare(resource: Registration, objects: Sequence[RenderedObject]) -> dict[str, Any]:
    inputs = dict(resource.inputs)
    if kind := inputs.get("kind"):
        key = kind, inputs["metadata"]["name"]
        inputs = next(dict(each.manifest) for each in objects if (each.kind, each.name) == key)
        annotations = {**inputs["metadata"].get("annotations", {}), **NOT_AWAITED}
        inputs["metadata"] = {**inputs["metadata"], "annotations": annotations}
    module, name = sdk_class(resource.type)
    arguments = {_CAPITAL.sub(r"_\g<0>", key).lower(): each for key, each in inputs.items()}
    return {"module": module, "class": name, "name": resource.name, "arguments": arguments}


def sdk_class(token: str) -> tuple[str, str]:
    """The SDK's module and class of a resource, by its type: `kubernetes:apps/v1:Deployment`."""
    package, group, kind = token.split(":")
    if package == "random":
        return "pulumi_random", kind
    name, _, version = group.partition("/")
    if name == "monitoring.coreos.com":
        return "pulumi_kubernetes.apiextensions", "CustomResource"
    return f"pulumi_kubernetes.{name.partition('.')[0]}.{version}", kind
