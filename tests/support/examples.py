"""The programs in `examples/`, run under the mocks."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.recording import ROOT, SECRETS, Recording, configure, record

FOLDER = ROOT / "examples"
NAMES = tuple(sorted(path.parent.name for path in FOLDER.glob("*/__main__.py")))
URLS = {
    "ado:databaseUrl": "postgresql://ado:database-canary@db.example.com/ado",
    "ado:redisUrl": "rediss://:redis-canary@redis.example.com:6380/0",
}
"""What a platform with external stores is given beside `SECRETS`."""


def config(example: str) -> dict[str, Any]:
    """What the stack file of an example says; nothing where it has none."""
    file = FOLDER / example / "Pulumi.dev.yaml"
    return dict(_read(file)["config"]) if file.exists() else {}


def project(example: str) -> Mapping[str, Any]:
    """Its Pulumi.yaml."""
    return _read(FOLDER / example / "Pulumi.yaml")


def record_example(example: str) -> Recording:
    """What its program registers, with every secret given."""
    given = config(example)
    secrets = SECRETS if given else {}
    configure(given, {**secrets, **URLS} if "external" in str(given) else secrets)
    return record(lambda: run(example) and None)


def run(example: str) -> dict[str, Any]:
    """Runs its program; what is defined in it afterwards."""
    return runpy.run_path(str(FOLDER / example / "__main__.py"), run_name="__main__")


def _read(file: Path) -> Mapping[str, Any]:
    loaded = yaml.safe_load(file.read_text())
    assert isinstance(loaded, Mapping)
    return loaded
