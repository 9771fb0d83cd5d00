"""`ado-ops render`: what a stack is made of, for whoever reviews a change or has no engine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ado_infra.loading import collector_paused
from ado_infra.ops.errors import OpsError
from ado_infra.ops.options import Stack, say


def render(
    stack: Stack,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write its objects here, a file each.")
    ] = None,
    *,
    images: Annotated[
        bool, typer.Option("--images", help="List the images that its pods are made from.")
    ] = False,
) -> None:
    """Write what a stack is made of as YAML, or list its images; asks no cluster and no engine."""
    if images == (out is not None):
        raise OpsError("Say one of --out DIRECTORY and --images.")
    with collector_paused():
        _render(stack, out)


def _render(stack: str, out: Path | None) -> None:
    # Pulumi's SDK takes a second to load, and no other command needs it.
    from ado_infra.render.directory import write  # noqa: PLC0415
    from ado_infra.render.errors import RenderError  # noqa: PLC0415
    from ado_infra.render.objects import images  # noqa: PLC0415
    from ado_infra.render.rendering import render  # noqa: PLC0415

    try:
        rendering = render(Path.cwd(), stack)
        for warning in rendering.warnings:
            print(f"Warning: {warning}", file=sys.stderr)
        if out is None:
            for image in images(rendering.objects):
                say(image)
            return
        changed = write(out, rendering.files)
    except RenderError as refused:
        raise OpsError(str(refused)) from None
    secrets = sum(each.kind == "Secret" for each in rendering.objects)
    say(
        f"{out}: {len(rendering.objects)} objects, {secrets} of them Secrets with placeholders; "
        + ("written." if changed else "nothing has changed.")
    )
