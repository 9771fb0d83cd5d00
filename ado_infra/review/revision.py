"""The other side: a revision's tree, taken out of git, and rendered there by its own code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ado_infra
from ado_infra.render.errors import RenderError
from ado_infra.render.stack_file import read_stack
from ado_infra.review.errors import ReviewError
from ado_infra.review.side import Side, loaded, side

_DEADLINE: Final = 300
"""Seconds within which a revision must have rendered all of its stacks."""
_TELLING: Final = Path(__file__).with_name("telling.py")


@dataclass(frozen=True, kw_only=True)
class Base:
    """What is compared with.

    Attributes:
        ref: As it was asked for.
        commit: Where the branch left it; that one itself where no common commit is known.
        common: Whether that is a common one.
        project: The directory of the project within its tree.
        root: The tree.
    """

    ref: str
    commit: str
    common: bool
    project: Path
    root: Path


@contextmanager
def taken_out(project: Path, ref: str) -> Generator[Base]:
    """A revision's tree in a directory of its own, which is gone afterwards.

    Neither the repository nor its working tree is touched. Raises ReviewError where there is no
    such revision, or no repository.
    """
    top = Path(
        _git(project, "rev-parse", "--show-toplevel", fails=f"{project} is in no git work tree")
    )
    head = _git(project, "rev-parse", "--verify", "HEAD^{commit}", fails="there is no commit yet")
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    commit = _git(
        project,
        *asked,
        fails=f"there is no revision {ref[:80]!r} here; fetch it first, or name another",
    )
    # What the other branch has done since is nothing that this one changes.
    common = _git(project, "merge-base", commit, head, fails=None)
    with tempfile.TemporaryDirectory(prefix="ado-review-") as made:
        root = Path(made, "tree")
        root.mkdir()
        # Not `git worktree`, which writes to the repository, nor `git archive`, which leaves out
        # what attributes say.
        index = {"GIT_INDEX_FILE": str(Path(made, "index"))}
        whole = ("-c", "core.sparseCheckout=false")
        failed = f"the tree of {ref[:80]!r} cannot be taken out"
        _git(top, *whole, "read-tree", common or commit, fails=failed, more=index)
        _git(top, *whole, "checkout-index", "--all", f"--prefix={root}/", fails=failed, more=index)
        yield Base(
            ref=ref,
            commit=common or commit,
            common=bool(common),
            project=root / project.resolve().relative_to(top.resolve()),
            root=root,
        )


def there(base: Base, stacks: Sequence[str]) -> dict[str, Side]:
    """The stacks of a revision, each with its objects or why there are none."""
    files: dict[str, Any] = {}
    found: dict[str, Side] = {}
    for stack in stacks:
        try:
            files[stack] = read_stack(base.project, stack)
        except RenderError as unreadable:
            found[stack] = Side(problem=str(unreadable))
    if files:
        told = _told(base, [*files])
        found |= {stack: side(file, **loaded(told[stack])) for stack, file in files.items()}
    return found


def _told(base: Base, stacks: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the revision's own code renders; the same problem for all where it does not load."""
    out = base.root.with_name("told.json")
    # Where the tree has no library of its own, both sides are rendered by the one that runs here.
    ours = str(Path(ado_infra.__file__).parents[1])
    given = filter(None, [os.environ.get("PYTHONPATH")])
    path = os.pathsep.join([str(base.project), str(base.root), ours, *given])
    try:
        done = subprocess.run(
            # -P: no module beside the program may be taken for one of the library's.
            [sys.executable, "-P", str(_TELLING), str(out), *stacks],
            cwd=base.project,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_DEADLINE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {stack: {"problem": f"does not end within {_DEADLINE} s"} for stack in stacks}
    try:
        told = json.loads(out.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        # Of an exception its kind, and what could not be imported: its words may be anything.
        kind, _, words = last.partition(":")
        said = last if kind in {"ImportError", "ModuleNotFoundError"} else kind
        problem = f"its code cannot render: {said if words else last}"
        return {stack: {"problem": problem} for stack in stacks}
    return {stack: told[stack] for stack in stacks}


def _git(
    directory: Path, *arguments: str, fails: str | None, more: dict[str, str] | None = None
) -> str:
    """What git prints; raises ReviewError with `fails`, or is empty where that is None."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=directory,
            env={**os.environ, "LC_ALL": "C", **(more or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise ReviewError("git is not installed, and the base is taken from it.") from None
    if done.returncode and fails is not None:
        raise ReviewError(f"{fails[0].upper()}{fails[1:]}.")
    return "" if done.returncode else done.stdout.strip()
