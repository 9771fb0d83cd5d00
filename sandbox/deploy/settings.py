"""Whether a stack's settings are right, before a cluster and an engine are started to say so."""

from __future__ import annotations

import shutil
from contextvars import copy_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pulumi

from ado_infra.render.errors import RenderError
from ado_infra.render.stack_file import StackFile, read_stack
from ado_infra.stack import check_stack
from sandbox.deploy import stack_files
from sandbox.paths import CHECKOUT, Called


def refusal(called: Called) -> str:
    """What the program will say of a stack whose settings are wrong; empty when they are right.

    It is asked of the copy that the sandbox would deploy from, with a placeholder for each secret.
    Of this checkout's program only: another one's settings are its own.
    """
    if called.project.resolve() != CHECKOUT.resolve():
        return ""
    with TemporaryDirectory() as directory:
        try:
            stack = _as_copied(called, Path(directory))
        except RenderError:  # the engine has words of its own for it
            return ""
    return copy_context().run(_refused, stack)  # the engine finds the config as it was


def _as_copied(called: Called, directory: Path) -> StackFile:
    file = called.project / f"Pulumi.{called.stack}.yaml"
    kept = stack_files.copies(called.sandbox, called.stack) / file.name
    if kept.exists():
        shutil.copy(kept, directory)
    shutil.copy(called.project / "Pulumi.yaml", directory)
    missing = stack_files.copy_stack(file, directory)
    # Of an encrypted value in the midst of a section only that it is encrypted matters.
    sections = {path.partition(".")[0] for path in missing}
    return read_stack(directory, called.stack).with_placeholders(*sections)


def _refused(stack: StackFile) -> str:
    pulumi.runtime.set_all_config(dict(stack.config), list(stack.secrets))
    try:
        check_stack()
    except pulumi.RunError as refused:
        return str(refused)
    return ""
