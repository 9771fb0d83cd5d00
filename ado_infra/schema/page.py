"""docs/settings.md: a table for each section of a stack, made from the JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ado_infra.schema import docstrings, examples
from ado_infra.schema.stack_file import Schema, stack_schema
from ado_infra.secrets import ConfigSecret

_HEAD: Final = """\
# Settings

Generated from the docstrings of `ado_infra/settings`: change those, then `make settings`. The same
as a JSON Schema: [settings.schema.json](settings.schema.json), which the first line of each
`Pulumi.<stack>.yaml` names, so that an editor completes keys and marks what is wrong;
`ado-ops schema` prints it.

Every key begins with `ado:` and its section: `ado:gateway.scaling.minReplicas`. A mapping that is
given takes the place of its default as a whole; a key that it leaves out has the default that
stands beside that key, and a *required* one must be there. Rules between two numbers, such as a
minimum that exceeds its maximum, are checked by `pulumi preview`, and by no editor. Below each
table is an example, of a section as a whole.
"""
_SECRETS: Final = """\
## Secrets

Always encrypted: `pulumi config set --secret ado:KEY`. More of them: [secrets](secrets.md).
"""
_PAGES: Final = {
    "edge": "edge.md",
    "gateway": "gateway.md",
    "dashboard": "dashboard.md",
    "orchestrator": "orchestrator.md",
    "workerPools": "workers.md",
    "postgres": "data.md",
    "redis": "data.md",
    "secrets": "secrets.md",
    "network": "own-cluster.md",
    "migrations": "migrations.md",
    "monitoring": "monitoring.md",
    "networkPolicies": "security.md",
    "policies": "pull-requests.md",
    "pods": "pods.md",
}
SHARED: Final = {
    "PodOptions": "pod",
    "AddedContainer": "container",
    "ImageVersion": "image",
    "Resources": "resources",
    "Health": "health",
    "Disruption": "disruption",
    "SecretReference": "reference",
    "Place": "place",
    "Openings": "openings",
    "Opening": "opening",
}
"""Mappings that several sections have: they get a table of their own."""
_SHARED_LINKS: Final = {kind: f"[{name}](#{name})" for kind, name in SHARED.items()}
_TYPES: Final = {
    "boolean": "true or false",
    "integer": "number",
    "number": "number",
    "object": "mapping",
    "string": "text",
}
_COLUMNS: Final = ("key", "type", "default", "meaning")


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One key: path in its section, its schema without references, whether it must be given."""

    path: str
    schema: Schema
    required: bool

    def __str__(self) -> str:
        default = self.schema.get("default")
        shown = "" if default in (None, {}, []) else f"`{_flow(default)}`"
        if self.required:
            shown = "required"
        cells = (f"`{self.path}`", _type(self.schema), shown, self.schema["description"])
        return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def page() -> str:
    """The page as Markdown."""
    schema = stack_schema()
    kinds, config = schema["$defs"], schema["properties"]["config"]
    single: list[_Row] = []
    sections: list[str] = []
    for key, given in config["properties"].items():
        section, required = _resolved(given, kinds), key in config["required"]
        if _is_secret(key):
            continue
        if section.get("type") == "object":
            sections.append(_section(key, section, required=required, kinds=kinds))
        else:
            single.append(_Row(path=key, schema=section, required=required))
    shared = [_shared(name, kinds) for name in SHARED]
    first = _table(single) + _example(examples.FIRST)
    return "\n".join([_HEAD, first, *sections, *shared, _secrets()])


def _is_secret(key: str) -> bool:
    return key.removeprefix("ado:") in set(ConfigSecret)


def _section(key: str, section: Schema, *, required: bool, kinds: Schema) -> str:
    name = key.removeprefix("ado:")
    more = f" More of it: [{_PAGES[name]}]({_PAGES[name]})." if name in _PAGES else ""
    must = " It is required." if required else ""
    example = _example(examples.OF_SECTIONS[key])
    if _kind(section) in SHARED:
        also = f" Its keys are those of {_SHARED_LINKS[_kind(section)]}."
        return f"## `{key}`\n\n{section['description']}{also}{more}\n{example}"
    pools = section.get("additionalProperties")
    if isinstance(pools, dict):
        key = f"{key}.<name>"
        section = {**_resolved(pools, kinds), "description": section["description"]}
    rows = list(_rows(section, "", kinds))
    return f"## `{key}`\n\n{section['description']}{must}{more}\n\n{_table(rows)}{example}"


def _shared(name: str, kinds: Schema) -> str:
    heading, rows = SHARED[name], list(_rows(kinds[name], "", kinds))
    described = f"{kinds[name]['description']}\n\n{_table(rows)}"
    return f"## {heading.capitalize()}\n\n{described}{_example(examples.OF_SHARED[heading])}"


def _example(text: str) -> str:
    return f"\n```yaml\n{text}```\n"


def _rows(schema: Schema, prefix: str, kinds: Schema) -> Iterator[_Row]:
    """Every key below a mapping, and below those in it."""
    for key, given in schema.get("properties", {}).items():
        inner = _resolved(given, kinds)
        path = f"{prefix}{key}"
        if "items" in inner:
            inner = {**inner, "items": _resolved(inner["items"], kinds)}
        yield _Row(path=path, schema=inner, required=key in schema.get("required", ()))
        below, path = (inner["items"], f"{path}[]") if "items" in inner else (inner, path)
        if _kind(below) not in SHARED:
            yield from _rows(below, f"{path}.", kinds)


def _kind(schema: Schema) -> str:
    """The name of what it refers to."""
    return schema.get("$ref", "").rpartition("/")[2]


def _resolved(schema: Schema, kinds: Schema) -> Schema:
    """The schema with what it refers to, and without the null that it may also be."""
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            schema = {**choice, **schema}
    return {**kinds[_kind(schema)], **schema} if _kind(schema) else schema


def _type(schema: Schema) -> str:
    """What a value is, in words."""
    if not schema:
        return "anything"
    if words := schema.get("title") or _SHARED_LINKS.get(_kind(schema)):
        return words
    if "boolean" in schema["type"]:
        return _TYPES["boolean"]
    if names := [f"`{name}`" for name in schema.get("enum", ())]:
        return f"{', '.join(names[:-1])} or {names[-1]}"
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}"
    of = ""
    if isinstance(values := schema.get("additionalProperties"), dict):
        of = f" of {_type(schema['propertyNames'])} to {_type(values)}"
    if "minimum" in schema:
        of = f" {schema['minimum']} to {schema['maximum']}"
    return _TYPES[schema["type"]] + of


def _flow(value: Any) -> str:  # noqa: ANN401 - any JSON
    """A value as YAML writes it in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def _table(rows: list[_Row]) -> str:
    head = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}\n"
    return head + "".join(f"{row}\n" for row in rows)


def _secrets() -> str:
    descriptions = docstrings.of_fields(ConfigSecret)
    rows = (f"| `ado:{secret}` | {descriptions[secret.name]} |\n" for secret in ConfigSecret)
    table = f"| key | meaning |\n|---|---|\n{''.join(rows)}"
    return f"{_SECRETS}\n{table}{_example(examples.LAST)}"
