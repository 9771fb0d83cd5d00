"""The files of a stack, read as the engine reads them, but for what is encrypted.

Nothing is decrypted here: whatever is encrypted becomes a marked placeholder.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

from ado_infra.render.errors import RenderError

MARK: Final = "PLACEHOLDER-"
"""How every value begins that stands for a secret."""
_SCHEMES: Final = {"databaseUrl": "postgresql://", "redisUrl": "rediss://"}
"""Secrets that are URLs: what theirs begin with."""
_STACK: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_BEFORE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""An organisation or a project, as they stand before the name of a stack."""
_SCALARS: Final = {
    "tag:yaml.org,2002:bool": r"true|True|TRUE|false|False|FALSE",
    "tag:yaml.org,2002:null": r"null|Null|NULL|~|",
    "tag:yaml.org,2002:int": r"[-+]?[0-9]+|0x[0-9a-fA-F]+",
    "tag:yaml.org,2002:float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
    "tag:yaml.org,2002:merge": r"<<",
}
"""What is not text; `on`, `1:30` and dates are, to the engine."""


@dataclass(frozen=True, kw_only=True)
class StackFile:
    """What the files say of a stack.

    Attributes:
        project: Name of the project.
        stack: Name of the stack.
        program: What runs: a file, or a directory with a `__main__.py`.
        config: Key with its namespace → its value as the program is given it.
        secrets: Keys of what is secret.
        encrypted: Key of what holds encrypted values → a digest of them as they are written.
    """

    project: str
    stack: str
    program: Path
    config: Mapping[str, str]
    secrets: frozenset[str]
    encrypted: Mapping[str, str]

    def with_placeholders(self, *keys: str) -> StackFile:
        """The same, where more secrets are given, as placeholders."""
        return replace(
            self,
            config={**self.config, **{key: placeholder(key) for key in keys}},
            secrets=self.secrets | set(keys),
        )


def placeholder(key: str) -> str:
    """What stands for the secret that a config key gives."""
    name = key.partition(":")[2] or key
    return f"{_SCHEMES.get(name, '')}{MARK}{name}"


def read_stack(project: Path, stack: str) -> StackFile:
    """The stack of a project, whose directory has the `Pulumi.yaml`.

    Raises RenderError as `read_config` does.
    """
    given = read_config(project, stack)
    config: dict[str, str] = {}
    encrypted: dict[str, str] = {}
    for key, value in given.values.items():
        open_value = _without_encrypted(key, value)
        if open_value != value:
            encrypted[key] = hashlib.sha256(_text(key, value).encode()).hexdigest()
        config[key] = _text(key, open_value)
    program = (project / (given.main or ".")).resolve()
    return StackFile(
        project=given.project,
        stack=given.stack,
        program=program,
        config=config,
        secrets=frozenset(encrypted),
        encrypted=encrypted,
    )


@dataclass(frozen=True, kw_only=True)
class Config:
    """What the files of a project and of one of its stacks give.

    Attributes:
        project: Name of the project.
        stack: Name of the stack, without organisation and project.
        main: Where the program is, if the project says so.
        values: Key with its namespace → its value; what is encrypted is `{"secure": …}` still. A
            stack's own value goes before its project's.
        of_project: The keys that the project gives.
    """

    project: str
    stack: str
    main: str
    values: Mapping[str, Any]
    of_project: frozenset[str]


def read_config(project: Path, stack: str) -> Config:
    """The config of a stack, which may be named with its organisation: `acme/ado/prod`.

    Raises RenderError when there is no such stack, or a file cannot be read as one.
    """
    about = _document(project / "Pulumi.yaml")
    name = about.plain("name")
    short = _short(stack, name)
    path = project / f"Pulumi.{short}.yaml"
    if not _STACK.fullmatch(short) or not path.is_file():
        known = ", ".join(f"Pulumi.{each}.yaml" for each in stacks(project)) or "none"
        raise RenderError(f"There is no file of a stack {stack!r} here (there is: {known}).")
    of_project = about.config(name, of_project=True)
    return Config(
        project=name,
        stack=short,
        main=about.plain("main"),
        values={**of_project, **_document(path).config(name)},
        of_project=frozenset(of_project),
    )


def stacks(project: Path) -> list[str]:
    """The stacks of which there is a file; one whose name no stack can have is none's."""
    files = (path.name for path in project.glob("Pulumi.*.yaml"))
    names = (name.removeprefix("Pulumi.").removesuffix(".yaml") for name in files)
    return sorted(filter(_STACK.fullmatch, names))


def _short(stack: str, project: str) -> str:
    """`prod` of `prod`, of `acme/prod` and of `acme/ado/prod`; else all of it, which is none."""
    *before, short = stack.split("/")
    if len(before) > 2 or not all(map(_BEFORE.fullmatch, before)):
        return stack
    if len(before) == 2 and before[1] != project:
        raise RenderError(f"{stack} is a stack of project {before[1]}; here is project {project}.")
    return short


class _Loader(yaml.SafeLoader):
    """Takes for numbers and the like what the engine does, and no key twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401 - untyped there
        """As the parent's.

        Raises yaml.YAMLError for a key that stands twice.
        """
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"{key} stands twice", problem_mark=node.start_mark
                )
        return node


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern in _SCALARS.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$"), None)


@dataclass(frozen=True)
class _Document:
    """A YAML file whose top is a mapping: key → node."""

    path: Path
    loader: _Loader
    top: Mapping[str, yaml.Node]

    def plain(self, key: str) -> str:
        """A value of the top that is text; empty when there is none."""
        node = self.top.get(key)
        return node.value if isinstance(node, yaml.ScalarNode) else ""

    def config(self, project: str, *, of_project: bool = False) -> dict[str, Any]:
        """Key with its namespace → its value; a plain one as its text, as the engine takes it.

        `of_project`: whether these are a project's, which says more of each than its value.
        """
        node = self.top.get("config")
        if not isinstance(node, yaml.MappingNode):
            return {}
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if ":" in key.value else f"{project}:{key.value}"
            if isinstance(value, yaml.ScalarNode):
                found[name] = "" if value.tag.endswith(":null") else value.value
                continue
            loaded = self.loader.construct_document(value)
            if of_project and isinstance(loaded, Mapping):
                if not loaded.keys() & {"value", "default"}:
                    continue
                loaded = loaded.get("value", loaded.get("default"))
            found[name] = loaded
        return found


def _document(path: Path) -> _Document:
    """A file; all of it is constructed once, so that nothing wrong is found later."""
    if not path.is_file():
        raise RenderError(f"There is no {path.name} in {path.parent}.")
    try:
        loader = _Loader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        if root is None:
            return _Document(path, loader, {})
        if not isinstance(root, yaml.MappingNode):
            raise RenderError(f"{path.name} is no mapping of keys to values.")
        loader.construct_document(root)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as unreadable:
        # Not what stands there, which may be a secret.
        mark = getattr(unreadable, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        what = getattr(unreadable, "problem", None) or type(unreadable).__name__
        raise RenderError(f"{path.name} cannot be read{line}: {what}") from None
    return _Document(path, loader, {key.value: value for key, value in root.value})


def _without_encrypted(key: str, value: Any) -> Any:  # noqa: ANN401 - whatever YAML can say
    """The same with a placeholder for each encrypted value."""
    if isinstance(value, dict):
        if value.keys() == {"secure"}:
            return placeholder(key)
        return {name: _without_encrypted(key, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_encrypted(key, inner) for inner in value]
    return value


def _text(key: str, value: Any) -> str:  # noqa: ANN401 - whatever YAML can say
    """A value as programs are given it: structured ones as JSON."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError):
        raise RenderError(f"{key} holds a value that JSON does not have.") from None
