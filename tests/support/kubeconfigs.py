"""Kubeconfigs whose clusters nobody answers for, unless a test does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

NOBODY = "http://127.0.0.1:1"


def kubeconfig(*contexts: str, current: str | None = None, server: str = NOBODY) -> dict[str, Any]:
    """What such a file says; each context has a cluster of its own."""
    return {
        "current-context": current or contexts[0],
        "contexts": [_named(name, context={"cluster": name, "user": "u"}) for name in contexts],
        "clusters": [_named(name, cluster={"server": server}) for name in contexts],
        "users": [_named("u", user={"token": "t"})],
    }


def write(path: Path, *contexts: str, **options: Any) -> Path:
    """Writes one."""
    path.write_text(yaml.safe_dump(kubeconfig(*contexts, **options)))
    return path


def _named(name: str, **about: Any) -> dict[str, Any]:
    return {"name": name, **about}


def stack_files(directory: Path, config: str = "{}", *, of_project: Sequence[str] = ()) -> None:
    """Project `ado` and its stack `dev`; `of_project` are lines of the project's config."""
    lines = "".join(f"\n  {line}" for line in of_project)
    project = f"name: ado\nruntime: python\nconfig:{lines or ' {}'}\n"
    (directory / "Pulumi.yaml").write_text(project)
    (directory / "Pulumi.dev.yaml").write_text(f"config: {config}\n")
