"""Property values on the wire: protobuf structs to plain Python and back.

Plain values are dicts, lists, strings, numbers and booleans. Two things have no plain form:
`Secret`, which wraps a value that must stay encrypted, and `UNKNOWN`, which stands for a value that
a preview cannot know yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from google.protobuf import struct_pb2

Value = Any
"""A plain value, `Secret` or `UNKNOWN`, at any depth."""

Properties = dict[str, Value]

# The wire format's own signatures, fixed by Pulumi's protocol.
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a tag, not a password
_UNKNOWNS = {  # one per type the value will have: string first, the one that is sent back
    "string": "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "bool": "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "number": "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "array": "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "asset": "030794c1-ac77-496b-92df-f27374a8bd58",
    "archive": "e48ece36-62e2-4504-bad9-02848725956a",
    "object": "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
}
_UNKNOWN_TAGS = frozenset(_UNKNOWNS.values())


class Unknown(Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True)
class Secret:
    """A value that must never be stored or shown in plain text; its repr hides it."""

    value: Value = field(repr=False)


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """The plain form; absent values (nulls) in objects are left out, whole numbers are ints."""
    return _from_fields(struct)


def to_struct(properties: Properties) -> struct_pb2.Struct:
    """The wire form."""
    struct = struct_pb2.Struct()
    struct.update(_to_wire(properties))
    return struct


def reveal(value: Value) -> Value:
    """A copy without the `Secret` wrappers, at every depth."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, dict):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [reveal(item) for item in value]
    return value


def has_unknown(value: Value) -> bool:
    """Whether any part of the value is not known yet."""
    return any(leaf is UNKNOWN for leaf in _leaves(value))


def has_secret(value: Value) -> bool:
    """Whether any part of the value is secret."""
    if isinstance(value, dict):
        return any(has_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(has_secret(item) for item in value)
    return isinstance(value, Secret)


def secret_texts(value: Value) -> frozenset[str]:
    """Every string inside a `Secret`, for keeping them out of messages."""
    if isinstance(value, Secret):
        return frozenset(leaf for leaf in _leaves(value.value) if isinstance(leaf, str) and leaf)
    if isinstance(value, dict):
        return frozenset().union(*(secret_texts(item) for item in value.values()))
    if isinstance(value, list):
        return frozenset().union(*(secret_texts(item) for item in value))
    return frozenset()


def mark_like(value: Value, model: Value) -> Value:
    """`value` with the secretness of `model`.

    Objects are compared key by key; anywhere else, one secret inside `model` makes the whole of
    `value` secret: a list's items may have moved.
    """
    if isinstance(value, dict) and isinstance(model, dict):
        return {
            key: mark_like(item, model[key]) if key in model else item
            for key, item in value.items()
        }
    return Secret(value) if has_secret(model) and not isinstance(value, Secret) else value


def _leaves(value: Value) -> Iterator[Value]:
    if isinstance(value, Secret):
        yield from _leaves(value.value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _from_fields(struct: struct_pb2.Struct) -> Properties:
    return {
        key: _from_value(value)
        for key, value in struct.fields.items()
        if value.WhichOneof("kind") != "null_value"
    }


def _from_value(value: struct_pb2.Value) -> Value:
    match value.WhichOneof("kind"):
        case "string_value":
            text = value.string_value
            return UNKNOWN if text in _UNKNOWN_TAGS else text
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [_from_value(item) for item in value.list_value.values]
        case "struct_value":
            return _from_object(value.struct_value)
        case _:
            return None


def _from_object(struct: struct_pb2.Struct) -> Value:
    if _SIGNATURE not in struct.fields:
        return _from_fields(struct)
    if struct.fields[_SIGNATURE].string_value != _SECRET:
        raise ValueError("assets, archives and resource references are not accepted as values")
    inner = _from_value(struct.fields["value"])
    return inner if isinstance(inner, Secret) else Secret(inner)


def _to_wire(value: Value) -> Value:
    if value is UNKNOWN:
        return _UNKNOWNS["string"]
    if isinstance(value, Secret):
        return {_SIGNATURE: _SECRET, "value": _to_wire(reveal(value))}
    if isinstance(value, dict):
        return {key: _to_wire(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_to_wire(item) for item in value]
    return value
