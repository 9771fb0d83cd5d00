"""Kubernetes objects as plain dicts: from inputs to what is sent, from what is live to the state.

The state of a resource has the official plugin's shape: the live object, beside it the inputs
(`__inputs`), the field manager (`__fieldManager`) and the apiVersion it was first made with
(`__initialApiVersion`). Left out of it: `metadata.managedFields`.
"""

from __future__ import annotations

import base64
import copy
import hashlib

from sandbox.plugins.kubernetes.cluster import Object
from sandbox.plugins.values import Properties, Secret, Value, mark_like, reveal

INPUTS, FIELD_MANAGER, INITIAL_API_VERSION = "__inputs", "__fieldManager", "__initialApiVersion"

AUTONAMED = "pulumi.com/autonamed"
DELETION_PROPAGATION = "pulumi.com/deletionPropagationPolicy"
PATCH_FIELD_MANAGER = "pulumi.com/patchFieldManager"
PATCH_FORCE = "pulumi.com/patchForce"
REPLACE_UNREADY = "pulumi.com/replaceUnready"
SKIP_AWAIT = "pulumi.com/skipAwait"
TIMEOUT_SECONDS = "pulumi.com/timeoutSeconds"
WAIT_FOR = "pulumi.com/waitFor"

_SERVER_FIELDS = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_SERVER_ANNOTATIONS = (
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
)
# Where a number may come back in another notation ("1000m" as "1").
_QUANTITIES = {
    "requests",
    "limits",
    "hard",
    "capacity",
    "averageValue",
    "sizeLimit",
    "storage",
    "value",
    "divisor",
    "overhead",
    "default",
    "defaultRequest",
    "min",
    "max",
}
# What tells items of a list apart; several mounts may be of one volume, which `name` names.
_LIST_KEYS = ("name", "mountPath")


def annotation(obj: Object, name: str) -> str:
    """The annotation's value, or an empty string."""
    metadata = obj.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    return str(annotations.get(name) or "") if isinstance(annotations, dict) else ""


def name_of(obj: Object) -> str:
    """`metadata.name`."""
    return str(obj["metadata"]["name"])


def namespace_of(obj: Object) -> str:
    """`metadata.namespace`, empty where there is none."""
    return str(obj["metadata"].get("namespace", ""))


def id_of(obj: Object) -> str:
    """The resource id of the official plugin: `namespace/name`, or the name alone."""
    return "/".join(filter(None, (namespace_of(obj), name_of(obj))))


def is_secret(obj: Object) -> bool:
    """Whether it is a core/v1 Secret."""
    return obj.get("kind") == "Secret" and obj.get("apiVersion") == "v1"


def manifest(inputs: Properties) -> Object:
    """What is sent to the API server: plain, without what only the server may set.

    A Secret's `stringData` becomes `data`, as the server itself would do: `stringData` can be
    written but not owned, so a key removed from it would stay for ever.
    """
    obj: Object = copy.deepcopy(reveal(inputs))
    for field in _SERVER_FIELDS:
        obj.get("metadata", {}).pop(field, None)
    if is_secret(obj) and "stringData" in obj:
        texts = obj.pop("stringData")
        encoded = {key: _encode(str(text)) for key, text in texts.items()}
        obj["data"] = obj.get("data", {}) | encoded
    return _rename(obj, "x_kubernetes_") if _is_definition(obj) else obj


def field_manager(urn: str, inputs: Properties, outputs: Properties | None = None) -> str:
    """The resource's own field manager: as annotated, as in the state, or after its URN.

    After the URN, and not at random as the official plugin has it, so that an object whose
    creation was interrupted is known again.
    """
    return (
        annotation(reveal(inputs), PATCH_FIELD_MANAGER)
        or str((outputs or {}).get(FIELD_MANAGER, ""))
        or f"pulumi-kubernetes-{hashlib.sha256(urn.encode()).hexdigest()[:8]}"
    )


def state(live: Object, inputs: Properties, manager: str, initial_api_version: str) -> Properties:
    """The outputs to store: secret wherever the inputs are, and in all data of a Secret."""
    outputs = _rename(live, "x-kubernetes-") if _is_definition(live) else copy.deepcopy(live)
    outputs.get("metadata", {}).pop("managedFields", None)
    return mark_secrets(outputs, inputs) | {
        INPUTS: mark_secrets(inputs, inputs),
        INITIAL_API_VERSION: initial_api_version,
        FIELD_MANAGER: manager,
    }


def mark_secrets(values: Properties, model: Properties) -> Properties:
    """`values` with the secretness of `model`; all data of a Secret is secret in any case."""
    if not is_secret(values):
        marked: Properties = mark_like(values, model)
        return marked
    return {
        key: Secret(reveal(value))
        if key in {"data", "stringData"}
        else mark_like(value, model.get(key))
        for key, value in values.items()
    }


def live_inputs(live: Object, inputs: Properties) -> Properties:
    """What the program's own fields really are: the live object cut to the shape of the inputs.

    Fields that others own or that were defaulted are not in it, so that only real drift shows.
    """
    plain = reveal(inputs)
    pruned: Properties = _prune(live, plain, quantity=False)
    if is_secret(plain) and "stringData" in plain:
        data = live.get("data") or {}
        pruned["stringData"] = {
            key: _decode(data[key]) for key in plain["stringData"] if key in data
        }
        if "data" in pruned:
            own = plain.get("data", {})
            pruned["data"] = {key: value for key, value in pruned["data"].items() if key in own}
    return mark_secrets(pruned, inputs)


def imported_inputs(live: Object) -> Properties:
    """The inputs of an object that the stack did not make: all of it but what the server keeps."""
    inputs: Properties = copy.deepcopy(live)
    inputs.pop("status", None)
    metadata = inputs["metadata"]
    for field in _SERVER_FIELDS:
        metadata.pop(field, None)
    for name in _SERVER_ANNOTATIONS:
        metadata.get("annotations", {}).pop(name, None)
    return mark_secrets(inputs, {})


def redact(text: str, hidden: frozenset[str]) -> str:
    """The text without any of the hidden strings, as given or in base64."""
    forms = hidden | {_encode(value) for value in hidden} | {_decode(value) for value in hidden}
    for form in sorted(forms - {""}, key=len, reverse=True):
        if len(form) > 3:  # shorter ones would only garble the message
            text = text.replace(form, "[secret]")
    return text


def _prune(live: Value, own: Value, *, quantity: bool) -> Value:
    if isinstance(live, dict) and isinstance(own, dict):
        pruned = {}
        for key, value in own.items():
            if key in live:
                inside = quantity or key in _QUANTITIES
                pruned[key] = _prune(live[key], value, quantity=inside)
            elif not value:
                pruned[key] = value  # the server does not store empty values
        return pruned
    if isinstance(live, list) and isinstance(own, list):
        return _prune_list(live, own, quantity=quantity)
    return own if quantity and _same_quantity(live, own) else live


def _prune_list(live: list[Value], own: list[Value], *, quantity: bool) -> list[Value]:
    for key in _LIST_KEYS:
        if _identifies(key, live) and _identifies(key, own):
            # Such items may be reordered, and others may have added theirs.
            found = {item[key]: item for item in live}
            return [
                _prune(found[item[key]], item, quantity=quantity)
                for item in own
                if item[key] in found
            ]
    return [
        _prune(item, own[index], quantity=quantity) if index < len(own) else item
        for index, item in enumerate(live)
    ]


def _identifies(key: str, items: list[Value]) -> bool:
    """Whether every item has a value of its own there."""
    values = [item.get(key) for item in items if isinstance(item, dict)]
    return len(values) == len(items) and None not in values and len(set(values)) == len(items)


def _same_quantity(live: Value, own: Value) -> bool:
    from kubernetes.utils.quantity import parse_quantity  # noqa: PLC0415 - only while refreshing

    try:
        return bool(parse_quantity(live) == parse_quantity(own))
    except (TypeError, ValueError):
        return False


def _is_definition(obj: Object) -> bool:
    return obj.get("kind") == "CustomResourceDefinition"


def _rename(value: Value, prefix: str) -> Value:
    """Schema extensions: `x-kubernetes-…` on the wire, `x_kubernetes_…` in the typed SDKs."""
    if isinstance(value, list):
        return [_rename(item, prefix) for item in value]
    if not isinstance(value, dict):
        return value
    other = "-" if "_" in prefix else "_"
    return {
        key.replace(prefix[1], other) if key.startswith(prefix) else key: _rename(item, prefix)
        for key, item in value.items()
    }


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""
