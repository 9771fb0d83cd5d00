"""From a stack's `ado:*` config to `Settings`, or to one message that names all that is wrong.

Called before any resource is registered, so that a slip in a setting changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, cast

import pulumi
from pydantic import TypeAdapter, ValidationError

from ado_infra.secrets import (
    LINE_END,
    STORE_SECRETS,
    ConfigSecret,
    StackSecrets,
    has_line_end,
)
from ado_infra.settings import Credentials, Mode, Profile, SecretSettings, Settings
from ado_infra.settings.errors import described, no_longer, suggest
from ado_infra.settings.stack import problems_between

_NAMESPACE: Final = "ado:"
_PAIRS: Final = (
    {ConfigSecret.OBJECT_STORAGE_ACCESS_KEY, ConfigSecret.OBJECT_STORAGE_SECRET_KEY},
    {ConfigSecret.BACKUP_ACCESS_KEY, ConfigSecret.BACKUP_SECRET_KEY},
)
"""Secrets of which one is of no use without the other."""
_STORAGE_KEYS, _BACKUP_KEYS = _PAIRS
_MODEL_KEYS: Final = {ConfigSecret.ANTHROPIC_API_KEY, ConfigSecret.GOOGLE_API_KEY}
_REFERENCES: Final = {
    str(SecretSettings.model_fields[name].alias): name for name in SecretSettings.KEYS
}
"""Keys of section `secrets` that name where a secret is."""
_STORES: Final[Mapping[str, tuple[str, Mode]]] = {
    **STORE_SECRETS,
    "replicationPassword": ("postgres", Mode.INTERNAL),
}
"""Secret of a store, the one that can be named alone too → its section, and when it is read."""
_SCHEMES: Final = {
    ConfigSecret.DATABASE_URL: ("postgresql://", "postgres://"),
    ConfigSecret.REDIS_URL: ("rediss://", "redis://"),
}
_SECTIONS: Final = [field.alias or name for name, field in Settings.model_fields.items()]


def load_stack() -> tuple[Settings, StackSecrets]:
    """What the selected stack says, in the open and encrypted.

    Raises pulumi.RunError as `check_stack` does.
    """
    return check_stack(), StackSecrets.from_config()


def check_stack() -> Settings:
    """What the selected stack says in the open, where all that it says is right.

    Raises pulumi.RunError naming every problem at once: key, value (never that of a secret or of
    an unknown key, which may be a misspelt secret) and what to do.
    """
    config = _read_config()
    sections = _sections_of(config)
    problems = [
        *_secret_problems(config, sections),
        *_key_problems(config),
        *_repetitions({key: config.plain[key] for key in sections}),
    ]
    try:
        settings = Settings.model_validate_json(json.dumps(sections), by_name=False)
    except ValidationError as invalid:
        settings = None
        problems += [
            described(error, sections)
            for error in invalid.errors(include_url=False)
            # What is encrypted is named above and not missing; the rules between sections follow.
            if error["loc"] and error["loc"][0] not in config.encrypted
        ]
        problems += [e["msg"] for e in invalid.errors() if e["type"] == "json_invalid"]
        problems += problems_between(dict(_valid(sections)))
    if problems or settings is None:
        raise pulumi.RunError(_message(problems))
    return settings


def missing_secrets() -> list[ConfigSecret]:
    """The secrets that the selected stack does not give, and has to."""
    config = _read_config()
    sections = _sections_of(config)
    lacking = (
        secret
        for secret in ConfigSecret
        if secret not in config.secrets and not _is_elsewhere(secret, sections)
    )
    return [secret for secret in lacking if _demanded(secret, config, sections)]


@dataclass(frozen=True, kw_only=True)
class _Config:
    """What a stack gives, by key without its namespace.

    Attributes:
        keys: All of them.
        plain: Key → raw text of what is not encrypted, and no secret.
        encrypted: Keys of what is.
        secrets: Which secrets are given.
    """

    keys: Sequence[str]
    plain: Mapping[str, str]
    encrypted: frozenset[str]
    secrets: frozenset[ConfigSecret]


def _read_config() -> _Config:
    """Every `ado:*` key.

    The SDK has no public way to list keys; this is the only place that reaches for its own.
    """
    names = [key for key in pulumi.runtime.config.CONFIG.get() if key.startswith(_NAMESPACE)]
    keys = [key.removeprefix(_NAMESPACE) for key in names]
    encrypted = {key for key in keys if pulumi.runtime.is_config_secret(_NAMESPACE + key)}
    secrets = {secret for secret in ConfigSecret if secret in keys}
    return _Config(
        keys=keys,
        plain={key: _text(key) for key in keys if key not in encrypted | secrets},
        encrypted=frozenset(encrypted),
        secrets=frozenset(secrets),
    )


def _sections_of(config: _Config) -> dict[str, object]:
    return {key: _decoded(raw) for key, raw in config.plain.items() if key in _SECTIONS}


def _text(key: str) -> str:
    return pulumi.runtime.get_config(_NAMESPACE + key) or ""


def _decoded(raw: str) -> object:
    """Structured values arrive as JSON, plain ones as their text."""
    try:
        return json.loads(raw)
    except ValueError:
        return raw


def _repetitions(sections: Mapping[str, str]) -> Iterable[str]:
    """Keys that stand twice in one mapping; a decoder would silently keep the last."""
    for section, raw in sections.items():
        repeated: list[str] = []

        def note(pairs: list[tuple[str, object]], repeated: list[str] = repeated) -> None:
            keys = [key for key, _ in pairs]
            repeated += sorted({key for key in keys if keys.count(key) > 1})

        with suppress(ValueError):
            json.loads(raw, object_pairs_hook=note)
        for key in repeated:
            yield f"ado:{section} names {key} twice; keep one of them"


def _secret_problems(config: _Config, sections: Mapping[str, object]) -> Iterable[str]:
    for secret in ConfigSecret:
        set_it = f"pulumi config set --secret ado:{secret}"
        elsewhere = _is_elsewhere(secret, sections)
        if secret in config.secrets and elsewhere:
            yield (
                f"ado:{secret} is given, and ado:secrets.{secret} names it in a Secret; keep one\n"
                f"    pulumi config rm ado:{secret}"
            )
        elif secret in config.secrets:
            yield from _given_problems(secret, config, sections, set_it)
        elif not elsewhere and (reason := _demanded(secret, config, sections)):
            yield f"ado:{secret} is missing; {reason}\n    {set_it}"
    for key in _REFERENCES:
        if _is_elsewhere(key, sections) and (reason := _unread(key, sections)):
            yield (
                f"ado:secrets.{key} is given and not read; {reason}\n"
                f"    pulumi config rm --path 'ado:secrets.{key}'"
            )


def _given_problems(
    secret: ConfigSecret, config: _Config, sections: Mapping[str, object], set_it: str
) -> Iterable[str]:
    """The first thing that is wrong with one that is given."""
    if secret not in config.encrypted:
        yield f"ado:{secret} is in plain text; replace it, then set it encrypted\n    {set_it}"
    elif not _begins_with(secret, ("",)):
        yield f"ado:{secret} is empty\n    {set_it}"
    elif has_line_end(_text(secret)):
        yield (
            f"ado:{secret} {LINE_END}; set it without\n"
            f"    pulumi config get ado:{secret} | tr -d '\\r\\n' | {set_it}"
        )
    elif reason := _unread(secret, sections):
        remove = f"pulumi config rm ado:{secret}"
        yield f"ado:{secret} is given and not read; {reason}\n    {remove}"
    elif (schemes := _SCHEMES.get(secret)) and not _begins_with(secret, schemes):
        yield f"ado:{secret} does not begin with {' or '.join(schemes)}\n    {set_it}"


def _is_elsewhere(secret: str, sections: Mapping[str, object]) -> bool:
    """Whether section `secrets` names a Secret that has it."""
    return _mapping("secrets", sections).get(secret) is not None


def _begins_with(secret: ConfigSecret, beginnings: tuple[str, ...]) -> bool:
    """Whether a secret is not blank and begins so."""
    value = _text(secret)
    return bool(value.strip()) and value.startswith(beginnings)


def _demanded(secret: ConfigSecret, config: _Config, sections: Mapping[str, object]) -> str | None:
    """Why a secret must be given; None when it need not be."""
    if secret in STORE_SECRETS:
        section, mode = STORE_SECRETS[secret]
        demanded = mode is Mode.EXTERNAL and _mode(section, sections) is mode
        return f"ado:{section}.mode = {mode} demands it" if demanded else None
    if secret is ConfigSecret.REGISTRY_PASSWORD:
        return "ado:images.registryUser demands it" if _names_user(sections) else None
    if secret in _STORAGE_KEYS and not _uses_keys(sections):
        return None
    if secret in _MODEL_KEYS and not _ask_models(sections):
        return None
    if sections.get("profile") == Profile.PRODUCTION and secret not in _BACKUP_KEYS:
        return "profile production demands it"
    given = config.secrets | {each for each in ConfigSecret if _is_elsewhere(each, sections)}
    half = any(secret in pair and pair & given for pair in _PAIRS)
    return "the other of the two keys is given" if half else None


def _unread(secret: str, sections: Mapping[str, object]) -> str | None:
    """Why nobody reads a secret; None when somebody does, or a wrong mode is named elsewhere."""
    if secret in _STORAGE_KEYS and not _uses_keys(sections):
        return f"ado:objectStorage.credentials = {Credentials.WORKLOAD_IDENTITY}"
    if secret in _MODEL_KEYS and not _ask_models(sections):
        return "every pool of ado:workerPools has a modelGateway"
    if secret in _BACKUP_KEYS and "backup" not in _mapping("postgres", sections):
        return "there is no ado:postgres.backup"
    if secret is ConfigSecret.REGISTRY_PASSWORD and not _names_user(sections):
        return "there is no ado:images.registryUser"
    section, mode = _STORES.get(secret, ("", None))
    chosen = _mode(section, sections)
    return f"ado:{section}.mode = {chosen}" if mode and chosen and mode is not chosen else None


def _uses_keys(sections: Mapping[str, object]) -> bool:
    """Whether pods have keys to the object storage, and no identity of their own there."""
    credentials = _mapping("objectStorage", sections).get("credentials")
    return credentials != Credentials.WORKLOAD_IDENTITY


def _ask_models(sections: Mapping[str, object]) -> bool:
    """Whether there are workers that ask models with a provider's key, and not by a gateway."""
    pools = sections.get("workerPools")
    each = list(pools.values()) if isinstance(pools, Mapping) else []
    return not each or any(
        not isinstance(pool, Mapping) or pool.get("modelGateway") is None for pool in each
    )


def _names_user(sections: Mapping[str, object]) -> bool:
    """Whether there is somebody who pulls images with a password."""
    return _mapping("images", sections).get("registryUser") is not None


def _mode(section: str, sections: Mapping[str, object]) -> Mode | None:
    """The mode of a store, also when something else in its section is wrong."""
    chosen = _mapping(section, sections).get("mode", Mode.INTERNAL)
    return next((mode for mode in Mode if mode == chosen), None)


def _mapping(section: str, sections: Mapping[str, object]) -> Mapping[str, object]:
    """A section as it was given; an empty one where it is none."""
    value = sections.get(section)
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _key_problems(config: _Config) -> Iterable[str]:
    known = [*_SECTIONS, *ConfigSecret]
    for key in config.keys:
        section, dot, _ = key.partition(".")
        remove = f"pulumi config rm ado:{key}"
        if dot and section in _SECTIONS:
            yield (
                f"ado:{key} is a key of its own; without --path a dot leads nowhere\n"
                f"    {remove}\n    pulumi config set --path ado:{key} VALUE"
            )
        elif key not in known:
            reason = no_longer(f"ado:{key}") or f"unknown; {suggest(key, known)}"
            yield f"ado:{key} is {reason}\n    {remove}"
        elif key in _SECTIONS and key in config.encrypted:
            yield (
                f"ado:{key} holds an encrypted value; sections hold plain settings, secrets have "
                f"keys of their own: {', '.join(ConfigSecret)}\n    {remove}"
            )


def _valid(sections: Mapping[str, object]) -> Iterable[tuple[str, Any]]:
    """Field of `Settings` → its value, for each that is right in itself, or not given."""
    for name, field in Settings.model_fields.items():
        key = field.alias or name
        if key in sections:
            with suppress(ValidationError):
                adapter = TypeAdapter[Any](field.rebuild_annotation())
                yield name, adapter.validate_json(json.dumps(sections[key]), strict=True)
        elif not field.is_required():
            yield name, field.default


def _message(problems: list[str]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"The settings of this stack have {count}:", *(f"  {p}" for p in problems)])
