"""From a stack's `ado:*` config to `Settings`, or to one message that names all that is wrong.

Called before any resource is registered, so that a slip in a setting changes nothing.
"""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, cast, get_args, get_origin

import pulumi
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ado_infra.kit.spec import AntiAffinity
from ado_infra.secrets import STORE_SECRETS, ConfigSecret
from ado_infra.settings import EdgeSettings, Mode, Profile, Settings, StoreSettings, TierSettings

_NAMESPACE: Final = "ado:"
_SPELLINGS: Final = {
    "string_type": ("; text that looks like a number stands in quotes", "--type string "),
    "int_type": ("; it stands without quotes", ""),
    "float_type": ("; it stands without quotes", ""),
    "bool_type": (": true or false, without quotes", ""),
}
"""How values of a type are written: kind of error → explanation, flag of `pulumi config set`."""
_PAIRS: Final = (
    {ConfigSecret.OBJECT_STORAGE_ACCESS_KEY, ConfigSecret.OBJECT_STORAGE_SECRET_KEY},
    {ConfigSecret.BACKUP_ACCESS_KEY, ConfigSecret.BACKUP_SECRET_KEY},
)
"""Secrets of which one is of no use without the other."""
_OF_BACKUP: Final = _PAIRS[1]
_SCHEMES: Final = {
    ConfigSecret.DATABASE_URL: ("postgresql://", "postgres://"),
    ConfigSecret.REDIS_URL: ("rediss://", "redis://"),
}
_ROOMS: Final = [field.alias or name for name, field in Settings.model_fields.items()]


_NO_LONGER: Final = {
    "ado:postgres.primaryOrdinal": (
        "ConfigMap postgresql-state alone says who is the primary, and `ado-ops postgres promote` "
        "changes it"
    ),
}
"""Settings that there were → why none is needed any more."""


def load_settings() -> Settings:
    """The settings of the selected stack.

    Raises pulumi.RunError naming every problem at once: key, value (never that of a secret or of
    an unknown key, which may be a misspelt secret) and what to do.
    """
    given, encrypted = _read_config()
    plain = {key: raw for key, raw in given.items() if key in _ROOMS and key not in encrypted}
    problems = [
        *_secret_problems(given, encrypted),
        *_room_problems(given, encrypted),
        *_repetitions(plain),
    ]
    rooms = {key: _decoded(raw) for key, raw in plain.items()}
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


def _repetitions(given: Mapping[str, str]) -> Iterable[str]:
    """Keys that stand twice in one mapping; a decoder would silently keep the last."""
    for room, raw in given.items():
        repeated: list[str] = []

        def note(pairs: list[tuple[str, object]], repeated: list[str] = repeated) -> None:
            keys = [key for key, _ in pairs]
            repeated += sorted({key for key in keys if keys.count(key) > 1})

        with suppress(ValueError):
            json.loads(raw, object_pairs_hook=note)
        for key in repeated:
            yield f"ado:{room} names {key} twice; keep one of them"


def _secret_problems(given: Mapping[str, str], encrypted: set[str]) -> Iterable[str]:
    for secret in ConfigSecret:
        set_it = f"pulumi config set --secret {secret}"
        schemes = _SCHEMES.get(secret, ("",))
        if secret not in given:
            if reason := _demanded(secret, given):
                yield f"ado:{secret} is missing; {reason}\n    {set_it}"
        elif secret not in encrypted:
            yield f"ado:{secret} is in plain text; replace it, then set it encrypted\n    {set_it}"
        elif not given[secret].strip():
            yield f"ado:{secret} is empty\n    {set_it}"
        elif reason := _unread(secret, given):
            yield f"ado:{secret} is given and not read; {reason}\n    pulumi config rm {secret}"
        elif not given[secret].startswith(schemes):
            yield f"ado:{secret} does not begin with {' or '.join(schemes)}\n    {set_it}"


def _demanded(secret: ConfigSecret, given: Mapping[str, str]) -> str | None:
    """Why a secret must be given; None when it need not be."""
    if secret in STORE_SECRETS:
        room, mode = STORE_SECRETS[secret]
        demanded = mode is Mode.EXTERNAL and _mode(room, given) is mode
        return f"ado:{room}.mode = {mode} demands it" if demanded else None
    if given.get("profile") == Profile.PRODUCTION and secret not in _OF_BACKUP:
        return "profile production demands it"
    half = any(secret in pair and pair.intersection(given) for pair in _PAIRS)
    return "the other of the two keys is given" if half else None


def _unread(secret: ConfigSecret, given: Mapping[str, str]) -> str | None:
    """Why nobody reads a secret; None when somebody does, or a wrong mode is named elsewhere."""
    if secret in _OF_BACKUP and "backup" not in _mapping("postgres", given):
        return "there is no ado:postgres.backup"
    room, mode = STORE_SECRETS.get(secret, ("", None))
    chosen = _mode(room, given)
    return f"ado:{room}.mode = {chosen}" if mode and chosen and mode is not chosen else None


def _mode(room: str, given: Mapping[str, str]) -> Mode | None:
    """The mode of a store, also when something else in its room is wrong."""
    chosen = _mapping(room, given).get("mode", Mode.INTERNAL)
    return next((mode for mode in Mode if mode == chosen), None)


def _mapping(room: str, given: Mapping[str, str]) -> Mapping[str, object]:
    """A room as it was given; an empty one where it is none."""
    said = _decoded(given.get(room, ""))
    return cast("Mapping[str, object]", said) if isinstance(said, Mapping) else {}


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
    if isinstance(edge := parsed.get("edge"), EdgeSettings) and not edge.tls_issuer:
        yield (
            "ado:edge.tlsIssuer is missing; profile production demands one\n"
            "    pulumi config set --path 'ado:edge.tlsIssuer' NAME"
        )
    for key, tier in _tiers(parsed):
        if isinstance(tier, TierSettings) and tier.minimum_replicas < 2:
            minimum = f"ado:{key}.{tier.MINIMUM}"
            yield (
                f"{minimum} = {tier.minimum_replicas}: profile production demands at least 2\n"
                f"    pulumi config set --path '{minimum}' 2"
            )
        if tier.SPREADS and tier.anti_affinity is not AntiAffinity.REQUIRED:
            spread = f"ado:{key}.antiAffinity"
            yield (
                f"{spread} = {tier.anti_affinity}: profile production demands required\n"
                f"    pulumi config set --path '{spread}' required"
            )


def _tiers(parsed: Mapping[str, Any]) -> Iterable[tuple[str, TierSettings | StoreSettings]]:
    """Every tier and store, those of a mapping one by one, with the key that leads to it."""
    for room, found in parsed.items():
        named = found.items() if isinstance(found, Mapping) else [("", found)]
        for name, tier in named:
            if isinstance(tier, TierSettings | StoreSettings):
                yield ".".join(filter(None, (room, name))), tier


def _parsed(rooms: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Each room that was given and is right in itself."""
    for name, field in Settings.model_fields.items():
        room = field.alias or name
        if room in rooms:
            with suppress(ValidationError):
                adapter = TypeAdapter[Any](field.rebuild_annotation())
                yield room, adapter.validate_json(json.dumps(rooms[room]), strict=True)


def _describe(error: ErrorDetails, rooms: Mapping[str, Any]) -> str:
    location = error["loc"]
    reason = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if not location:  # a rule between rooms names its keys itself
        return reason
    if location[-1] == "[key]":
        *parents, key, _ = location
        remove = shlex.quote(f"ado:{_dotted(parents)}[{json.dumps(key)}]")
        return (
            f"ado:{_dotted(location[:-1])} is no possible name: {reason}; rename it in the stack's "
            f"file, or remove it\n    pulumi config rm --path {remove}"
        )
    path = "ado:" + _dotted(location)
    if error["type"] == "extra_forbidden":
        *parents, key = location
        known = _keys_at(parents)
        remove = f"pulumi config rm --path '{path}'"
        why = _NO_LONGER.get(path)
        said = f"no longer a setting: {why}" if why else f"unknown; {_suggest(str(key), known)}"
        return f"{path} is {said}\n    {remove}"
    if error["type"] == "missing":
        leaf = _dotted(_first_leaf(location))
        return f"{path} is missing\n    pulumi config set --path 'ado:{leaf}' VALUE"
    shown = _shown(location, rooms)
    if shown is None:
        return f"{path}: {reason}"
    how, flag = _SPELLINGS.get(error["type"], ("", ""))
    return f"{path} = {shown}: {reason}{how}\n    pulumi config set --path {flag}'{path}' VALUE"


def _dotted(location: Iterable[int | str]) -> str:
    """A location as `pulumi config set --path` takes it."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


def _keys_at(location: Iterable[int | str]) -> list[str]:
    """The keys known at a location; none where it holds a plain value or names of its own."""
    kind: Any = Settings
    for step in location:
        kind = _below(kind, str(step))
    return list(_fields(kind))


def _below(kind: object, key: str) -> object:
    """The kind of what a key of a model, or any key of a mapping of models, leads to."""
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    found = _fields(kind).get(key)
    return found.annotation if found else None


def _fields(kind: object) -> dict[str, FieldInfo]:
    kinds = [kind, *get_args(kind)] if get_origin(kind) is not dict else []
    models = [each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)]
    if not models:
        return {}
    return {field.alias or name: field for name, field in models[0].model_fields.items()}


def _first_leaf(location: Iterable[int | str]) -> list[int | str]:
    """The location itself, or the first plain value below it: what one command can set."""
    path = list(location)
    kind: object = Settings
    for step in path:
        kind = _below(kind, str(step))
    while get_origin(kind) is dict or _fields(kind):
        step = next(iter(_fields(kind)), "NAME")
        path.append(step)
        kind = _below(kind, step)
    if get_origin(kind) is tuple:
        path.append(0)
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
    return re.sub(r"//.*@", "//…@", json.dumps(value, ensure_ascii=False))[:120]


def _message(problems: list[str]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"The settings of this stack have {count}:", *(f"  {p}" for p in problems)])
