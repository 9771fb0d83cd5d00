"""The JSON Schema of `Pulumi.<stack>.yaml`.

Of draft 7, which every editor knows. What only a comparison of two numbers can tell, such as a
request beyond its limit, it lets pass; `pulumi preview` does not.
"""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic.alias_generators import to_camel

from ado_infra.kit.spec import AntiAffinity
from ado_infra.schema import docstrings
from ado_infra.schema.models import Described
from ado_infra.secrets import STORE_SECRETS, ConfigSecret
from ado_infra.settings import (
    Mode,
    Profile,
    Settings,
    StoreSettings,
    TierSettings,
    WorkerPoolSettings,
)

Schema = dict[str, Any]
DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_WHAT: Final = (
    "A stack of the ADO platform. Generated from the settings' docstrings: `make settings`."
)
_KEYS: Final = (
    "What the stack says, by key: `ado:<section>` of the platform, other namespaces of its "
    "providers."
)
_ENCRYPTED: Final = "Encrypted; set it with `pulumi config set --secret ado:{key}`."


def as_text(schema: Schema) -> str:
    """The schema as a file of its own."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def stack_schema() -> Schema:
    """What a stack file may hold."""
    sections = Settings.model_json_schema(schema_generator=Described)
    for kind in sections["$defs"].values():
        del kind["title"]  # the name of a class
    return {
        "$schema": DRAFT,
        "title": "Pulumi.<stack>.yaml",
        "description": _WHAT,
        "type": "object",
        "required": ["config"],
        "properties": {"config": _config(sections)},
        "$defs": {**sections["$defs"], "Encrypted": _encrypted()},
    }


def _config(sections: Schema) -> Schema:
    settings = {f"ado:{key}": _section(section) for key, section in sections["properties"].items()}
    descriptions = docstrings.of_fields(ConfigSecret)
    secrets = {
        f"ado:{secret}": {
            "$ref": "#/$defs/Encrypted",
            "description": f"{descriptions[secret.name]} {_ENCRYPTED.format(key=f'ado:{secret}')}",
        }
        for secret in ConfigSecret
    }
    known = [*settings, *secrets]
    return {
        "description": _KEYS,
        "type": "object",
        "required": [f"ado:{key}" for key in sections["required"]],
        "properties": {**settings, **secrets},
        "propertyNames": {"anyOf": [{"enum": known}, {"pattern": "^(?!ado:)[^:]+:"}]},
        "allOf": [_production(), *_store_secrets()],
    }


def _section(section: Schema) -> Schema:
    """A key's own schema; `pulumi stack init` writes `false` anew as "false"."""
    if section.get("type") != "boolean":
        return section
    return {**section, "type": ["boolean", "string"], "enum": [True, False, "true", "false"]}


def _encrypted() -> Schema:
    return {
        "description": "An encrypted value, as `pulumi config set --secret` writes it.",
        "type": "object",
        "required": ["secure"],
        "properties": {"secure": {"type": "string", "description": "The ciphertext."}},
        "additionalProperties": False,
    }


def _at(path: str, rule: Schema) -> Schema:
    """The rule for what is at a path of keys, where it is there."""
    for key in reversed(path.split(".")):
        rule = {"properties": {key: rule}}
    return rule


def _has(key: str, kind: str) -> Schema:
    return {"required": [key], **_at(key, {"type": kind})}


def _given(key: str, path: str, value: str) -> Schema:
    """The condition that a stack gives this value; without it a default is not asked."""
    section: Schema = {"const": value}
    for step in reversed(path.split(".") if path else []):
        section = {"required": [step], "properties": {step: section}}
    return {"required": [key], "properties": {key: section}}


def _production() -> Schema:
    """What profile `production` demands; see `settings/production.py`."""
    demanded = [
        _at("ado:protectData", {"enum": [True, "true"]}),
        _at("ado:edge", {"anyOf": [_has("tlsIssuer", "string"), _has("tls", "object")]}),
        _at("ado:workerPools", {"additionalProperties": _production_of(WorkerPoolSettings)}),
    ]
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, TierSettings | StoreSettings):
            demanded.append(_at(f"ado:{to_camel(name)}", _production_of(kind)))
    return {
        "if": _given("ado:profile", "", Profile.PRODUCTION.value),
        "then": {"allOf": demanded},
    }


def _production_of(kind: type[TierSettings | StoreSettings]) -> Schema:
    rules: list[Schema] = []
    if issubclass(kind, TierSettings):
        rules.append(_at(kind.MINIMUM, {"minimum": 2}))
    if kind.REQUIRES_ANTI_AFFINITY:
        rules.append(_at("antiAffinity", {"const": AntiAffinity.REQUIRED.value}))
    return {"allOf": rules}


def _store_secrets() -> list[Schema]:
    """That a secret of a store is given in the mode in which somebody reads it.

    Not that it must be: a file may be written before its secrets are.
    """
    rules: list[Schema] = []
    for secret, (section, mode) in STORE_SECRETS.items():
        refused: Schema = {"properties": {f"ado:{secret}": False}}
        where = "else" if mode is Mode.EXTERNAL else "then"
        rules.append({"if": _given(f"ado:{section}", "mode", Mode.EXTERNAL.value), where: refused})
    return rules
