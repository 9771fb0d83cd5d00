"""From a stack's `ado:*` config to `Settings`, or to one message that names all that is wrong.

Called before any resource is registered, so that a slip in a setting changes nothing.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import pulumi
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ado_infra.secrets import ConfigSecret
from ado_infra.settings import Profile, Settings, TierSettings

_NAMESPACE: Final = "ado:"
_SPELLINGS: Final = {
    "string_type": ("; text that looks like a number stands in quotes", "--type string "),
    "int_type": ("; it stands without quotes", ""),
    "float_type": ("; it stands without quotes", ""),
    "bool_type": (": true or false, without quotes", ""),
}
"""How values of a type are written: kind of error → explanation, flag of `pulumi config set`."""
_ROOMS: Final = [field.alias or name for name, field in Settings.model_fields.items()]


def load_settings() -> Settings:
    """The settings of the selected stack.

    Raises pulumi.RunError naming every problem at once: key, value (never that of a secret or of
    an unknown key, which may be a misspelt secret) and what to do.
    """
    given, encrypted = _read_config()
    problems = [
        *_secret_problems(given, encrypted),
        *_room_problems(given, encrypted),
    ]
    rooms = {
        key: _decoded(raw) for key, raw in given.items() if key in _ROOMS and key not in encrypted
    }
    try:
        settings = Settings.model_validate_json(json.dumps(rooms), by_name=False)
    except ValidationError as invalid:
        settings = None
        problems += [
            _describe(error, rooms)
            for error in invalid.errors(include_url=False)
            if not encrypted.intersection(error["loc"][:1])  # named above; not missing
        ]
    problems += _production_problems(rooms)
    if problems or settings is None:
        raise pulumi.RunError(_message(problems))
    return settings


def _read_config() -> tuple[dict[str, str], set[str]]:
    """Every `ado:*` key without its namespace → raw text, and which of them are encrypted.

    The SDK has no public way to list keys; this is the only place that reaches for its own.
    """
    names = [key for key in pulumi.runtime.config.CONFIG.get() if key.startswith(_NAMESPACE)]
    given = {key.removeprefix(_NAMESPACE): pulumi.runtime.get_config(key) or "" for key in names}
    encrypted = {key for key in given if pulumi.runtime.is_config_secret(_NAMESPACE + key)}
    return given, encrypted


def _decoded(raw: str) -> object:
    """Structured values arrive as JSON, plain ones as their text."""
    try:
        return json.loads(raw)
    except ValueError:
        return raw


def _secret_problems(given: Mapping[str, str], encrypted: set[str]) -> Iterable[str]:
    for secret in ConfigSecret:
        set_it = f"pulumi config set --secret {secret}"
        if secret not in given:
            if given.get("profile") == Profile.PRODUCTION:
                yield f"ado:{secret} is missing; profile production demands it\n    {set_it}"
        elif secret not in encrypted:
            yield f"ado:{secret} is in plain text; replace it, then set it encrypted\n    {set_it}"
        elif not given[secret].strip():
            yield f"ado:{secret} is empty\n    {set_it}"


def _room_problems(given: Mapping[str, str], encrypted: set[str]) -> Iterable[str]:
    known = [*_ROOMS, *ConfigSecret]
    for key in given:
        room, dot, _ = key.partition(".")
        if dot and room in _ROOMS:
            yield (
                f"ado:{key} is a key of its own; without --path a dot leads nowhere\n"
                f"    pulumi config rm {key}\n    pulumi config set --path {key} VALUE"
            )
        elif key not in known:
            yield f"ado:{key} is unknown; {_suggest(key, known)}\n    pulumi config rm {key}"
        elif key in _ROOMS and key in encrypted:
            yield (
                f"ado:{key} holds an encrypted value; rooms hold plain settings, secrets have keys "
                f"of their own: {', '.join(ConfigSecret)}\n    pulumi config rm {key}"
            )


def _production_problems(rooms: Mapping[str, Any]) -> Iterable[str]:
    """What the production profile demands beyond the secrets.

    Asked of each room that is right in itself; what is wrong with the others is said elsewhere.
    """
    parsed = dict(_parsed(rooms))
    if parsed.get("profile") is not Profile.PRODUCTION:
        return
    if parsed.get("protectData") is False:
        yield (
            "ado:protectData = false: profile production demands true; to take the stack down on "
            "purpose, give up the profile first\n    pulumi config rm profile"
        )
    for room, tier in parsed.items():
        if isinstance(tier, TierSettings) and tier.minimum_replicas < 2:
            key = f"ado:{room}.{tier.MINIMUM}"
            yield (
                f"{key} = {tier.minimum_replicas}: profile production demands at least 2\n"
                f"    pulumi config set --path '{key}' 2"
            )


def _parsed(rooms: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Each room that was given and is right in itself."""
    for name, field in Settings.model_fields.items():
        room = field.alias or name
        if room in rooms:
            with suppress(ValidationError):
                adapter = TypeAdapter[Any](field.rebuild_annotation())
                yield room, adapter.validate_json(json.dumps(rooms[room]), strict=True)


def _describe(error: ErrorDetails, rooms: Mapping[str, Any]) -> str:
    path = "ado:" + _dotted(error["loc"])
    if error["type"] == "extra_forbidden":
        *parents, key = error["loc"]
        known = _keys_at(parents)
        remove = f"pulumi config rm --path '{path}'"
        return f"{path} is unknown; {_suggest(str(key), known)}\n    {remove}"
    if error["type"] == "missing":
        leaf = _dotted(_first_leaf(error["loc"]))
        return f"{path} is missing\n    pulumi config set --path 'ado:{leaf}' VALUE"
    reason = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    shown = _shown(error["loc"], rooms)
    if shown is None:
        return f"{path}: {reason}"
    how, flag = _SPELLINGS.get(error["type"], ("", ""))
    return f"{path} = {shown}: {reason}{how}\n    pulumi config set --path {flag}'{path}' VALUE"


def _dotted(location: Iterable[int | str]) -> str:
    return ".".join(str(step) for step in location)


def _keys_at(location: Iterable[int | str]) -> list[str]:
    """The keys known at a location; none where it holds a plain value."""
    kind: Any = Settings
    for step in location:
        kind = _fields(kind)[str(step)].annotation
    return list(_fields(kind))


def _fields(kind: object) -> dict[str, FieldInfo]:
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in kind.model_fields.items()}


def _first_leaf(location: Iterable[int | str]) -> list[int | str]:
    """The location itself, or the first plain value below it: what one command can set."""
    path = list(location)
    while keys := _keys_at(path):
        path.append(keys[0])
    return path


def _suggest(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def _shown(location: Iterable[int | str], rooms: Mapping[str, Any]) -> str | None:
    """The offending value as JSON when it is a plain one, with any URL credentials blotted out."""
    value: Any = rooms
    for step in location:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    if isinstance(value, dict | list):
        return None
    return re.sub(r"//[^/@\s]*@", "//…@", json.dumps(value, ensure_ascii=False))[:120]


def _message(problems: list[str]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"The settings of this stack have {count}:", *(f"  {p}" for p in problems)])
