"""A stack that says every key at once, and which keys there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from ado_infra.schema import stack_schema
from ado_infra.schema.page import SHARED
from ado_infra.secrets import ConfigSecret
from tests.support.recording import ROOT

_IN_A_SECRET: Final = "is in a Secret here, by ado:secrets"
_ONE_WAY: Final = "is another way than edge.tls.secret, and only one is allowed"
_EXTERNAL: Final = "is of an external store; see examples/external-stores"
_GATEWAY: Final = "is in place of the providers' keys; see tests/cluster/test_model_gateway.py"
GIVEN: Final = {f"ado:{ConfigSecret.REGISTRY_PASSWORD}": "registry-canary"}
"""The one secret that can be given in no other way than in its config."""
UNSAID: Final = {
    "pod.hostUsers": "the sandbox's containerd makes no user namespaces",
    "pod.volumes[].csi.driver": "the sandbox has no CSI driver",
    "pod.volumes[].csi.volumeAttributes": "the sandbox has no CSI driver to be told",
    "ado:images.pullSecret": "is another way than images.registryUser, and only one is allowed",
    "ado:edge.tlsIssuer": _ONE_WAY,
    "ado:edge.tls.issuer.name": _ONE_WAY,
    "ado:edge.tls.issuer.kind": _ONE_WAY,
    "ado:edge.tls.issuer.group": _ONE_WAY,
    "ado:edge.tls.loadBalancer": _ONE_WAY,
    "ado:migrations.image.digest": "is another way than its tag, and only one is allowed",
    "ado:redis.nodes": _EXTERNAL,
    "ado:networkPolicies.egress.database[]": _EXTERNAL,
    "ado:networkPolicies.egress.redis[]": _EXTERNAL,
    "ado:workerPools.*.modelGateway.url": _GATEWAY,
    "ado:workerPools.*.modelGateway.keySecret": _GATEWAY,
    "ado:networkPolicies.egress.modelGateway[]": _GATEWAY,
    "ado:secrets.databaseUrl": _EXTERNAL,
    "ado:secrets.redisUrl": _EXTERNAL,
    **{key: _IN_A_SECRET for key in map("ado:{}".format, ConfigSecret) if key not in GIVEN},
    "ado:databaseUrl": _EXTERNAL,
    "ado:redisUrl": _EXTERNAL,
}
"""Keys that the stack does not say, and why."""
_ALL: Final = object()
"""In place of a stack that says everything."""


def every_key() -> dict[str, Any]:
    """What the stack says over `Pulumi.dev.yaml`, without `GIVEN`."""
    text = (ROOT / "tests" / "support" / "every_key.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def keys(stack: object = _ALL) -> set[str]:
    """The keys that a stack says and that have none below them, by path; else all there are.

    Keys of a mapping that several sections have, such as `pod`, count once: `pod.env`, whichever
    section says it. The section's own is a key too: `ado:gateway.pod`.
    """
    schema = stack_schema()
    return set(_keys(schema["properties"]["config"], "", schema["$defs"], stack))


def _keys(
    schema: Mapping[str, Any], path: str, kinds: Mapping[str, Any], stack: Any
) -> Iterator[str]:
    kind, schema = _resolved(schema, kinds)
    if kind in SHARED:
        yield path
        path = SHARED[kind]
    if kind == "Encrypted":
        yield path
    elif "properties" in schema:
        for key, below in schema["properties"].items():
            if stack is _ALL or key in stack:
                inner = stack if stack is _ALL else stack[key]
                yield from _keys(below, f"{path}.{key}".lstrip("."), kinds, inner)
    elif "properties" in _resolved(schema.get("items", {}), kinds)[1]:
        for inner in [stack] if stack is _ALL else stack:
            yield from _keys(schema["items"], f"{path}[]", kinds, inner)
    elif "properties" in _resolved(_values(schema), kinds)[1]:
        for inner in [stack] if stack is _ALL else stack.values():
            yield from _keys(_values(schema), f"{path}.*", kinds, inner)
    else:
        yield path


def _values(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a mapping with keys of one's own, what its values are."""
    values = schema.get("additionalProperties", {})
    return values if isinstance(values, dict) else {}


def _resolved(schema: Mapping[str, Any], kinds: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """What it refers to, by name and in full, without the null that it may also be."""
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            schema = {**choice, **schema}
    kind = schema.get("$ref", "").rpartition("/")[2]
    return (kind, {**kinds[kind], **schema}) if kind else ("", schema)
