"""A checkout's project and stack files, and the copies of them that the sandbox deploys from.

A copy differs from its original in what must be the sandbox's own: no other cluster, object
storage that is there, and secrets that it can decrypt.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sandbox import files
from sandbox.cluster import object_storage
from sandbox.errors import SandboxError
from sandbox.paths import Sandbox

STAND_IN_SECRETS: Final = ("ado:anthropicApiKey", "ado:googleApiKey")
"""Secrets that a stack demands and that only its owner has: the sandbox puts in marked values."""
SECRETS: Final = (
    *STAND_IN_SECRETS,
    "ado:databasePassword",
    "ado:databaseUrl",
    "ado:redisPassword",
    "ado:redisUrl",
    "ado:registryPassword",
)
"""Secrets that a user may keep in a sandbox for a stack; those of object storage are its own."""
OBJECT_STORAGE: Final = "ado:objectStorage"
ACCESS_KEY, SECRET_KEY = "ado:objectStorageAccessKey", "ado:objectStorageSecretKey"
"""A stack with object storage is given the sandbox's, with keys that open it."""
REFERENCES: Final = "ado:secrets"
BACKUP_KEYS: Final = {"ado:backupAccessKey", "ado:backupSecretKey"}
"""Never put in: the sandbox's object storage has one pair, which a backup takes then."""
_CLUSTERS: Final = tuple(
    f"kubernetes:{key}" for key in ("kubeconfig", "context", "cluster", "namespace")
)
_ENCRYPTION_KEYS: Final = ("secretsprovider", "encryptedkey", "encryptionsalt")


def find(checkout: Path, stack: str) -> Path:
    """A stack's file in a checkout.

    Raises SandboxError when there is none, or when it is no YAML mapping.
    """
    file = checkout / f"Pulumi.{stack}.yaml"
    if not file.exists():
        known = sorted(p.suffixes[0].removeprefix(".") for p in checkout.glob("Pulumi.*.yaml"))
        raise SandboxError(f"There is no stack {stack!r} here; there are {', '.join(known)}.")
    load(file)
    return file


def copies(sandbox: Sandbox, stack: str) -> Path:
    """Where a sandbox keeps its copies of a stack's project and stack files."""
    return sandbox.pulumi / "project" / stack


def secret_path(key: str) -> str:
    """Where the secret of that key is in a stack's config.

    Raises SandboxError when there is none that a user may give.
    """
    path = f"ado:{key.removeprefix('ado:')}"
    if path not in SECRETS:
        known = ", ".join(known.removeprefix("ado:") for known in SECRETS)
        raise SandboxError(f"There is no secret {key} to keep here; there are {known}.")
    return path


def copy_project(
    checkout: Path, directory: Path, *, runs_in_place: bool, plugins: Mapping[str, Path]
) -> None:
    """Copy the project file; with `runs_in_place` a language host runs the checkout's program.

    `plugins`: which directory has each provider; named there, it is taken whatever its version.
    """
    project = load(checkout / "Pulumi.yaml")
    _keep_to_the_sandbox(project)
    providers = [{"name": name, "path": str(path)} for name, path in plugins.items()]
    project["plugins"] = {"providers": providers}
    if runs_in_place:
        project["main"] = str(checkout)
        project["runtime"] = {"name": "python", "options": {"virtualenv": sys.prefix}}
    _dump(project, directory / "Pulumi.yaml")


def copy_stack(stack_file: Path, directory: Path) -> set[str]:
    """Copy a stack file; secrets that an earlier copy was given are kept.

    Returns where secrets are still missing, as `pulumi config --path` names it: those that were
    encrypted for the user's own stack and cannot be read here, and those that a stack demands.
    """
    copy = directory / stack_file.name
    kept = load(copy) if copy.exists() else {}
    document = load(stack_file)
    _keep_to_the_sandbox(document)
    given = document.get("config") or {}
    own = {key: v for key, v in (kept.get("config") or {}).items() if _is_secure(v)}
    plain = {key: _without_secure(v) for key, v in given.items() if not _is_secure(v)}
    use_own_object_storage(plain)
    encryption = {key: kept[key] for key in _ENCRYPTION_KEYS if key in kept}
    elsewhere = _in_the_cluster(plain)
    config = {key: value for key, value in own.items() if key not in elsewhere} | plain
    _dump(encryption | {"config": config}, copy)

    demanded = {path for key in given for path in _secure_paths(given[key], key)}
    demanded |= {*STAND_IN_SECRETS}
    if OBJECT_STORAGE in config:
        demanded |= {ACCESS_KEY, SECRET_KEY}
    return {path for path in demanded - BACKUP_KEYS - elsewhere if config.get(path) is None}


def _in_the_cluster(config: Mapping[str, Any]) -> set[str]:
    """The secrets that a stack names in Secrets of the cluster: it refuses them in its config."""
    named = config.get(REFERENCES)
    return {f"ado:{key}" for key in named} if isinstance(named, Mapping) else set()


def load(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping; empty counts as one.

    Raises SandboxError naming file and line when it does not.
    """
    try:
        loaded = YAML(typ="safe").load(path)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SandboxError(
            f"{path}{where}: {getattr(error, 'problem', None) or 'no valid YAML'}"
        ) from None
    if not isinstance(loaded or {}, dict) or not isinstance(
        (loaded or {}).get("config") or {}, dict
    ):
        raise SandboxError(f"{path}: it, and its `config`, must be mappings of keys to values.")
    return loaded or {}


def _dump(document: Mapping[str, Any], path: Path) -> None:
    with io.StringIO() as text:
        YAML().dump(document, text)
        files.write(path, text.getvalue())


def _keep_to_the_sandbox(document: Mapping[str, Any]) -> None:
    """Drops what would lead the engine to another cluster than the sandbox's."""
    for key in _CLUSTERS:
        (document.get("config") or {}).pop(key, None)


def use_own_object_storage(config: dict[str, Any]) -> None:
    """Leads a stack's object storage, where it has any, to the sandbox's; buckets stay its own."""
    if isinstance(section := config.get(OBJECT_STORAGE), Mapping):
        own = {"endpoint": object_storage.ENDPOINT, "region": object_storage.REGION}
        # It knows keys, and no workload by its identity.
        kept = {key: value for key, value in section.items() if key != "credentials"}
        config[OBJECT_STORAGE] = {**kept, **own}


def _is_secure(value: object) -> bool:
    return isinstance(value, Mapping) and "secure" in value


def _secure_paths(value: object, path: str) -> list[str]:
    """Where below a config value encrypted ones are, as `pulumi config --path` names them."""
    if _is_secure(value):
        return [path]
    if isinstance(value, Mapping):
        return [found for key in value for found in _secure_paths(value[key], f"{path}.{key}")]
    return []


def _without_secure(value: object) -> object:
    if isinstance(value, Mapping):
        return {
            key: _without_secure(inner) for key, inner in value.items() if not _is_secure(inner)
        }
    return value
