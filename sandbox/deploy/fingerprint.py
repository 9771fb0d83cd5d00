"""What tells one program with its settings from another: all that decides what an `up` does."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import ado_infra
from sandbox.deploy import stack_files


def fingerprint(checkout: Path, settings: Sequence[Path], versions: str) -> str:
    """A digest of a checkout's code, and its library's, of YAML files and of what runs them.

    Other files that the program reads show in a plan; what code says of protection does not.
    """
    digest = hashlib.sha256(versions.encode())
    package = Path(ado_infra.__file__).parent
    for root in [checkout] if checkout in package.parents else [checkout, package]:
        for path in _code_below(root):
            digest.update(f"{path} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    for path in settings:
        # As data, for two writers lay it out differently. YAML has dates, which JSON has not.
        data = json.dumps(stack_files.load(path), sort_keys=True, default=str)
        digest.update(data.encode())
    return digest.hexdigest()


def _code_below(directory: Path) -> Iterator[Path]:
    """Every Python file of a directory, in order, but not of its virtual environments."""
    for parent, directories, names in os.walk(directory):
        directories[:] = sorted(
            name
            for name in directories
            if name[0] != "." and not Path(parent, name, "pyvenv.cfg").exists()
        )
        paths = (Path(parent, name) for name in sorted(names) if name.endswith(".py"))
        yield from (path for path in paths if path.is_file())
