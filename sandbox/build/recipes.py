"""Files that are made once by a recipe and kept in the cache under its hash."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sandbox.files import locked
from sandbox.paths import cache_dir

UNUSED_FOR = 7 * 24 * 3600
"""Seconds after which a file that no sandbox asked for may go."""


def made(kind: str, recipe: Sequence[str], build: Callable[[Path, Path], None]) -> Path:
    """The file made by this recipe: from the cache, else by `build(target, scratch directory)`.

    It appears under its name when it is whole, and one process at a time builds a kind.
    """
    directory = cache_dir() / "images"
    directory.mkdir(parents=True, exist_ok=True)
    cached = directory / f"{kind}-{version(recipe)}.tar"
    if not cached.exists():
        with locked(directory / f"{kind}.lock"):
            if not cached.exists():
                scratch = directory / f"{kind}.partial"
                shutil.rmtree(scratch, ignore_errors=True)  # an interrupted build's
                scratch.mkdir()
                try:
                    build(scratch / "result.tar", scratch)
                    (scratch / "result.tar").rename(cached)
                finally:
                    shutil.rmtree(scratch, ignore_errors=True)
                _forget_unused(directory, kind)
    os.utime(cached)  # not touch, which would make an empty one of a file just forgotten
    return cached


def version(recipe: Sequence[str]) -> str:
    """What tells one recipe from another."""
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]


def _forget_unused(directory: Path, kind: str) -> None:
    """Every change of a program makes another archive: those of old changes go."""
    for path in directory.glob(f"{kind}-*.tar"):
        if path.stat().st_mtime < time.time() - UNUSED_FOR:
            path.unlink()
