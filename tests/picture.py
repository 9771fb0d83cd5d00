"""`make docs`: the committed production stack as it is meant to run, drawn to docs/platform.svg."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import yaml
from kubernetes import client

from ado_infra.ops.platform import picture, tiers
from ado_infra.ops.platform.objects import Model, Objects
from ado_infra.render.rendering import Rendering, render
from tests.support.recording import ROOT

Manifest = dict[str, Any]

PICTURE: Final = ROOT / "docs" / "platform.svg"
_MODELS: Final = {
    "Deployment": "V1Deployment",
    "StatefulSet": "V1StatefulSet",
    "PersistentVolumeClaim": "V1PersistentVolumeClaim",
    "HorizontalPodAutoscaler": "V2HorizontalPodAutoscaler",
    "Service": "V1Service",
    "Ingress": "V1Ingress",
}
"""Kinds that the picture reads → the client's models."""


def drawn(rendering: Rendering) -> str:
    """The picture of a rendered stack, as if every pod were Ready."""
    found = [*_settled([yaml.safe_load(each.text()) for each in rendering.objects])]

    def of(kind: str) -> list[Manifest]:
        return [each for each in found if each["kind"] == kind]

    def models(kind: str) -> list[Model]:
        return [_model(each) for each in of(kind)]

    seen = Objects(
        deployments=models("Deployment"),
        stateful_sets=models("StatefulSet"),
        autoscalers=models("HorizontalPodAutoscaler"),
        services=models("Service"),
        claims=models("PersistentVolumeClaim"),
        ingresses=models("Ingress"),
        monitors=of("ServiceMonitor"),
    )
    (namespace,) = (each["metadata"]["name"] for each in of("Namespace"))
    platform = tiers.platform(namespace, seen)
    return picture.svg(platform, "ADO platform", "the stack prod as it is committed")


def _settled(manifests: Iterable[Manifest]) -> Iterator[Manifest]:
    """The same as a cluster would show them: as many pods as are wanted, and their claims."""
    known = list(manifests)
    least = {
        each["spec"]["scaleTargetRef"]["name"]: each["spec"]["minReplicas"]
        for each in known
        if each["kind"] == "HorizontalPodAutoscaler"
    }
    for each in known:
        if each["kind"] not in {"Deployment", "StatefulSet"}:
            yield each
            continue
        name, spec = each["metadata"]["name"], each["spec"]
        replicas = least.get(name, spec.get("replicas"))
        kinds = ("replicas", "readyReplicas", "updatedReplicas")
        yield each | {
            "spec": spec | {"replicas": replicas},
            "status": dict.fromkeys(kinds, replicas),
        }
        for template in spec.get("volumeClaimTemplates", ()):
            for ordinal in range(replicas):
                claim = f"{template['metadata']['name']}-{name}-{ordinal}"
                kind, status = {"kind": "PersistentVolumeClaim"}, {"phase": "Bound"}
                yield template | kind | {"metadata": {"name": claim}, "status": status}


def _model(manifest: Mapping[str, Any]) -> Model:
    kind = _MODELS[manifest["kind"]]
    return client.ApiClient().deserialize(json.dumps(manifest), kind, "application/json")


if __name__ == "__main__":
    PICTURE.write_text(drawn(render(ROOT, "prod")))
