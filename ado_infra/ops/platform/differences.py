"""In what a living object differs from how it was written; calls nobody.

Only what is written is compared: the API server adds defaults, controllers their own, and an
autoscaler owns the number of pods. In what is a list, or a set of keys, of which all is written
(containers, variables, a ConfigMap's data, a selector), something more is a difference too.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeGuard

from kubernetes.utils import parse_quantity

from ado_infra.ops.postgres.writers import PAUSED, REPLICAS
from ado_infra.render.stack_file import MARK

Value: TypeAlias = Any
"""Any of JSON's."""
ABSENT: Final = "(absent)"
PRESENT: Final = "(present)"
"""What somebody has added may be a secret: it is not shown."""
_MISSING: Final = object()
_WIDTH: Final = 80
_QUANTITIES: Final = frozenset({"requests", "limits", "sizeLimit", "averageValue", "storage"})
"""Below these, or as these, `1000m` and `1` are the same."""
_WHOLE: Final = frozenset({"data", "binaryData", "selector", "matchLabels", "nodeSelector"})
"""Of these every key is written."""
_NAMES: Final = {"volumeMounts": "mountPath"}
"""By what the elements of a list are told apart, where that is not `name`."""
_CHECKSUM: Final = "checksum/"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A field that is not as it was written, with both values as they are shown."""

    path: str
    wanted: str
    found: str

    def __str__(self) -> str:
        return f"{self.path}: wanted {self.wanted}, found {self.found}"


def differences(
    wanted: Mapping[str, Any],
    found: Mapping[str, Any],
    *,
    ignored: Sequence[str] = (),
    secrets: Sequence[str] = (),
) -> list[Difference]:
    """What differs; of a Secret the keys alone.

    `ignored`: paths that others own. `secrets`: paths whose values are placeholders in `wanted`.
    """
    noted = (found["metadata"].get("annotations") or {}) if PAUSED in _annotations(found) else {}
    if wanted["kind"] == "Secret":
        wanted, found = _keys_alone(wanted), _keys_alone(found)
    else:
        wanted = _without(wanted, "", frozenset(secrets))
    seen = _compared(_without_secret_checksums(wanted), found, "", frozenset(ignored))
    if not noted:
        return list(seen)
    shown = f"paused, `resume` gives it {noted.get(REPLICAS, 'as many')} pods"
    paused = Difference(path="spec.replicas", wanted="as many as before", found=shown)
    return [paused, *(each for each in seen if each.path != paused.path)]


def _annotations(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    return manifest["metadata"].get("annotations") or {}


def _compared(
    wanted: Value, found: Value, path: str, ignored: frozenset[str]
) -> Iterator[Difference]:
    if path in ignored or _is_same(wanted, found, path):
        return
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        yield from _mappings(wanted, found, path, ignored)
    elif isinstance(wanted, list) and isinstance(found, list):
        yield from _lists(wanted, found, path, ignored)
    else:
        yield _shown(wanted, found, path)


def _mappings(
    wanted: Mapping[str, Value], found: Mapping[str, Value], path: str, ignored: frozenset[str]
) -> Iterator[Difference]:
    for key, value in wanted.items():
        yield from _compared(value, found.get(key, _MISSING), f"{path}.{key}".lstrip("."), ignored)
    if path.rpartition(".")[2] in _WHOLE:
        for key in found.keys() - wanted.keys():
            yield Difference(path=f"{path}.{key}", wanted=ABSENT, found=PRESENT)


def _lists(
    wanted: list[Value], found: list[Value], path: str, ignored: frozenset[str]
) -> Iterator[Difference]:
    key = _NAMES.get(path.rpartition(".")[2], "name")
    if _all_have(key, wanted) and _all_have(key, found):
        names = {each[key]: each for each in found}
        for each in wanted:
            inner = f"{path}[{each[key]}]"
            yield from _compared(each, names.pop(each[key], _MISSING), inner, ignored)
        for name in names:
            yield Difference(path=f"{path}[{name}]", wanted=ABSENT, found=PRESENT)
    elif len(wanted) == len(found):
        for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _compared(one, other, f"{path}[{index}]", ignored)
    else:
        yield _shown(wanted, found, path)


def _all_have(key: str, values: list[Value]) -> bool:
    """Whether these are told apart by a key."""
    if not all(isinstance(each, Mapping) and key in each for each in values):
        return False
    return len({each[key] for each in values}) == len(values)


def _is_same(wanted: Value, found: Value, path: str) -> bool:
    if found is _MISSING or found is None:
        return not wanted  # empty, zero and false need not be told
    if isinstance(wanted, str) and MARK in wanted:
        return True
    if type(wanted) is type(found) and wanted == found:
        return True
    if _is_amount(wanted) and _is_amount(found):
        of_quantities = bool(_QUANTITIES & set(path.split(".")))
        return str(wanted) == str(found) or (
            of_quantities and _quantity(wanted) == _quantity(found)
        )
    return False


def _is_amount(value: Value) -> TypeGuard[str | int | float]:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _quantity(value: str | float) -> object:
    try:
        return parse_quantity(value)
    except ValueError:
        return value


def _shown(wanted: Value, found: Value, path: str) -> Difference:
    if isinstance(wanted, str) and isinstance(found, str):
        for number, (one, other) in enumerate(_lines(wanted, found), start=1):
            if one != other and "\n" in wanted + found:
                path, wanted, found = f"{path} line {number}", one, other
                break
    return Difference(path=path, wanted=_text(wanted), found=_text(found))


def _lines(one: str, other: str) -> Iterator[tuple[Value, Value]]:
    """The lines of two texts side by side; what is beyond the end of one is missing."""
    left, right = one.splitlines(), other.splitlines()
    for index in range(max(len(left), len(right))):
        yield (
            left[index] if index < len(left) else _MISSING,
            right[index] if index < len(right) else _MISSING,
        )


def _text(value: Value) -> str:
    if value is _MISSING or value is None:
        return ABSENT
    text = value if isinstance(value, str) and value.strip() else json.dumps(value, sort_keys=True)
    return textwrap.shorten(text, _WIDTH, placeholder=" …") if " " in text else text[:_WIDTH]


def _keys_alone(secret: Mapping[str, Any]) -> dict[str, Any]:
    """A Secret without its values."""
    data: Mapping[str, str] = secret.get("data") or {}
    return {**secret, "data": dict.fromkeys(data, PRESENT)}


def _without(value: Value, path: str, secrets: frozenset[str]) -> Value:
    """The same without what is at these paths."""
    if isinstance(value, Mapping):
        inner = {key: f"{path}.{key}".lstrip(".") for key in value}
        return {
            key: _without(each, inner[key], secrets)
            for key, each in value.items()
            if inner[key] not in secrets
        }
    if isinstance(value, list):
        return [_without(each, f"{path}[{index}]", secrets) for index, each in enumerate(value)]
    return value


def _without_secret_checksums(value: Value) -> Value:
    """The same without the digests of Secrets, whose key nobody has who renders.

    A pod template's `checksum/NAME` is that of a Secret unless NAME is a volume from a ConfigMap.
    """
    if isinstance(value, list):
        return [_without_secret_checksums(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    copied = {key: _without_secret_checksums(each) for key, each in value.items()}
    metadata, spec = copied.get("metadata"), copied.get("spec")
    if not (isinstance(metadata, dict) and isinstance(spec, dict) and "containers" in spec):
        return copied
    public = {v["name"] for v in spec.get("volumes") or () if "configMap" in v}
    metadata["annotations"] = {
        key: text
        for key, text in (metadata.get("annotations") or {}).items()
        if not key.startswith(_CHECKSUM) or key.removeprefix(_CHECKSUM) in public
    }
    return copied
