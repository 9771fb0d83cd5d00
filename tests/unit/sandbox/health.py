"""Clusters as they are found, for those who ask how one is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.cluster.health import Status


def running(*missing: str, **changes: Any) -> Status:
    """A cluster that answers, where this is missing."""
    found: dict[str, Any] = {
        "name": "unit",
        "exists": True,
        "supervised": True,
        "answering": True,
        "missing": missing,
        "api": "https://127.0.0.1:1",
        "kubeconfig": Path("/unit/kubeconfig"),
        "links": {},
        "nodes": [],
        "programs": [],
    }
    return Status(**found | changes)
