"""The directory that a rendering is written to: whole or not at all, and nobody else's files.

A file of it lists what was written and each digest, as `sha256sum` does: what is not in there, or
is not the same any more, is somebody's, such as a Secret whose real value was filled in.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ado_infra.render.errors import RenderError

MARKER: Final = ".ado-render"
_HERE: Final = -100
_EXCHANGE: Final = 2
"""AT_FDCWD and RENAME_EXCHANGE of Linux."""


def write(out: Path, files: Mapping[str, str]) -> bool:
    """Makes a directory hold these files and nothing else; path below it → content.

    Returns whether anything had to be written. Raises RenderError, and leaves all as it is, when it
    holds what was not written here, or cannot be written.
    """
    out = out.resolve()
    contents = {path: text.encode() for path, text in files.items()}
    contents[MARKER] = _listing(contents)
    try:
        present = _held(out)
        _refuse_foreign(out, present)
        if present == contents:
            return False
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f"{MARKER}-") as beside:
            made = Path(beside, "new")
            for path, content in contents.items():
                file = made / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            _replace(out, made, Path(beside, "old"))
    except OSError as failed:
        raise RenderError(f"{out} cannot be written: {failed.strerror or failed}") from None
    return True


def _listing(contents: Mapping[str, bytes]) -> bytes:
    lines = (f"{hashlib.sha256(contents[path]).hexdigest()}  {path}\n" for path in sorted(contents))
    return "".join(lines).encode()


def _held(out: Path) -> dict[str, bytes]:
    """Every file below a directory, which need not be there; links and the like are empty."""
    if not out.exists():
        return {}
    if not out.is_dir():
        raise RenderError(f"{out} is no directory; name another one.")
    if not (out / MARKER).is_file():  # also a large directory is refused at once
        return {MARKER: b""} if any(out.iterdir()) else {}
    return {
        path.relative_to(out).as_posix(): path.read_bytes() if _is_plain(path) else b""
        for path in out.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _refuse_foreign(out: Path, present: Mapping[str, bytes]) -> None:
    listed = present.get(MARKER)
    if listed == b"":
        raise RenderError(
            f"{out} is not empty, and was not rendered here. Name another directory, or empty it."
        )
    known = set((listed or b"").decode(errors="replace").splitlines())
    others = sorted(
        path
        for path, content in present.items()
        if path != MARKER and f"{hashlib.sha256(content).hexdigest()}  {path}" not in known
    )
    if others:
        raise RenderError(
            f"{out} holds what was not rendered, or was changed since: {', '.join(others)}. It "
            "would be lost; move it elsewhere first, or delete the directory."
        )


def _replace(out: Path, made: Path, former: Path) -> None:
    """Has `made` be `out`; what that was before goes where the rest is removed."""
    if not out.exists():
        made.rename(out)
    elif not _exchange(out, made):
        out.rename(former)
        try:
            made.rename(out)
        except BaseException:
            former.rename(out)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Has each have the other's name, in one step; False where the system has no such step."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    paths = os.fsencode(one), os.fsencode(other)
    return rename(_HERE, paths[0], _HERE, paths[1], _EXCHANGE) == 0
