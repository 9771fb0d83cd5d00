"""A stack, rendered: its objects, and the files that they are told by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ado_infra.render.objects import RenderedObject, rendered
from ado_infra.render.program import run
from ado_infra.render.stack_file import placeholder, read_stack
from ado_infra.render.text import document

KUSTOMIZATION: Final = "kustomization.yaml"


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """What a stack is made of.

    Attributes:
        objects: All of its objects, in the order of their files.
        warnings: What the program warns of, and which secrets the stack lacks.
    """

    objects: Sequence[RenderedObject]
    warnings: Sequence[str]

    @property
    def files(self) -> dict[str, str]:
        """Path → content: a file for each object, and a kustomization of all but Secrets."""
        files = {each.path: each.text() for each in self.objects}
        listed = sorted(each.path for each in self.objects if each.kind != "Secret")
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": listed,
        }
        return {**files, KUSTOMIZATION: document(kustomization)}


def render(project: Path, stack: str) -> Rendering:
    """Renders a stack of the project whose directory has the `Pulumi.yaml`.

    Raises RenderError when there is no such stack, its settings are refused, or something in it
    is no object.
    """
    program = run(read_stack(project, stack))
    lacking = [f"{key} is missing; rendered as {placeholder(key)}" for key in program.missing]
    return Rendering(
        objects=rendered(program.registrations), warnings=(*program.warnings, *lacking)
    )
