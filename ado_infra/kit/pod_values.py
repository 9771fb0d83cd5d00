"""The types that options of pods are made of (`kit/pod_options.py`): names, paths, images."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, cast

from pydantic import AfterValidator, Field, StringConstraints
from pydantic.config import JsonValue

from ado_infra.kit import schema_rules as patterns
from ado_infra.kit.labels import SELECTOR_KEY
from ado_infra.kit.schema_rules import SchemaRules, pattern_rule
from ado_infra.kit.values import dns_label, is_dns_name, label_key

_OF_CONTROLLERS: Final = (SELECTOR_KEY, "controller-revision-hash", "pod-template-hash")
_PREFIXES: Final = ("app", "apps", "batch", "statefulset")
"""Labels of pods that the platform or Kubernetes' controllers set, and select by."""
_TAKEN: Final = (
    rf"(?!(?:{'|'.join(_OF_CONTROLLERS)})$)(?!(?:{'|'.join(_PREFIXES)})\.kubernetes\.io/)"
)
_VARIABLE: Final = r"^[A-Za-z_][A-Za-z0-9_.-]*$"
_PATH: Final = r"(?:[A-Za-z0-9_@+][A-Za-z0-9_.@+-]*|\.[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*)"
_IMAGE: Final = (
    r"[A-Za-z0-9][A-Za-z0-9._:/-]*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})"
)
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_TERMS: Final = "nodeSelectorTerms"


def _pod_label_key(key: str) -> str:
    prefix, _, _ = label_key(key).rpartition("/")
    if key in _OF_CONTROLLERS or prefix in {f"{each}.kubernetes.io" for each in _PREFIXES}:
        raise ValueError("is a label that the platform or Kubernetes sets itself; remove it")
    return key


def _object_name(name: str) -> str:
    if not is_dns_name(name):
        raise ValueError("is no name; lower-case letters, digits and hyphens between dots")
    return name


def _image(reference: str) -> str:
    if not re.fullmatch(_IMAGE, reference, re.ASCII):
        raise ValueError("names no version; write it as registry/name:tag or …@sha256:…")
    if reference.endswith(":latest"):
        raise ValueError("the tag 'latest' names no version; give the one that was tested")
    return reference


def _affinity(rules: dict[str, Any]) -> dict[str, Any]:
    for rule, value in rules.items():
        if rule not in {_REQUIRED, _PREFERRED}:
            raise ValueError(f"has {rule}; known are {_REQUIRED} and {_PREFERRED}")
        if not _is_list(value):
            raise ValueError(f"has a {rule} that is no list")
    return rules


def _node_affinity(rules: dict[str, Any]) -> dict[str, Any]:
    terms = rules.get(_REQUIRED, {_TERMS: []})
    if not isinstance(terms, Mapping) or [*cast("Mapping[str, Any]", terms)] != [_TERMS]:
        raise ValueError(f"has a {_REQUIRED} that is no mapping of {_TERMS} to a list")
    _affinity({**rules, _REQUIRED: terms[_TERMS]})
    return rules


def _is_list(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(item, Mapping) for item in cast("Sequence[object]", value))
    )


def _rules_of_affinity(required: JsonValue) -> SchemaRules:
    """Of one kind of affinity; the outermost shape alone, for the rest is Kubernetes' own."""
    return SchemaRules(
        {
            "title": "mapping as in Kubernetes",
            "patternProperties": {
                f"^{_REQUIRED}$": required,
                f"^{_PREFERRED}$": {"type": "array"},
            },
            "additionalProperties": False,
        }
    )


NodeAffinity = Annotated[
    dict[str, Any],
    AfterValidator(_node_affinity),
    _rules_of_affinity({"type": "object", "required": [_TERMS]}),
]
PodAffinity = Annotated[
    dict[str, Any], AfterValidator(_affinity), _rules_of_affinity({"type": "array"})
]
VariableName = Annotated[
    str, StringConstraints(pattern=_VARIABLE), pattern_rule("variable", _VARIABLE)
]
PartName = Annotated[
    str, AfterValidator(dns_label), pattern_rule("name", rf"^{patterns.DNS_LABEL}$")
]
"""What something is called in a pod: an RFC 1123 label."""
ObjectName = Annotated[
    str,
    AfterValidator(_object_name),
    pattern_rule("name", rf"^{patterns.DNS_NAME}$", maxLength=253),
]
"""Name of an object that somebody else keeps."""
NodeLabelKey = Annotated[
    str,
    AfterValidator(label_key),
    pattern_rule("label key", rf"^(?:{patterns.DNS_NAME}/)?{patterns.LABEL_NAME}$"),
]
PodLabelKey = Annotated[
    str,
    AfterValidator(_pod_label_key),
    pattern_rule("label key", rf"^{_TAKEN}(?:{patterns.DNS_NAME}/)?{patterns.LABEL_NAME}$"),
]
AnnotationKey = Annotated[
    str,
    AfterValidator(label_key),
    pattern_rule("annotation key", rf"^(?:{patterns.DNS_NAME}/)?{patterns.LABEL_NAME}$"),
]
AbsolutePath = Annotated[
    str,
    StringConstraints(pattern=rf"^(?:/{_PATH})+$"),
    pattern_rule("path", rf"^(?:/{_PATH})+$"),
]
RelativePath = Annotated[
    str,
    StringConstraints(pattern=rf"^{_PATH}(?:/{_PATH})*$"),
    pattern_rule("path", rf"^{_PATH}(?:/{_PATH})*$"),
]
ImageReference = Annotated[
    str,
    AfterValidator(_image),
    SchemaRules({"title": "image with tag or digest", "pattern": rf"^(?!.*:latest$){_IMAGE}$"}),
]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
