"""Where a sandbox keeps things."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Built programs and images, shared by every checkout of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "ado-sandbox"
    path.mkdir(parents=True, exist_ok=True)
    return path
