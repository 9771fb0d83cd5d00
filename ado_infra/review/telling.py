"""Renders stacks of the project in the current directory and writes them down as JSON.

A program of its own, for a process that is given another revision's tree: the `ado_infra` that it
imports is that one's. So it takes of that as little as can be, and nothing of this package.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ado_infra.render.errors import RenderError
from ado_infra.render.rendering import render


def told(stack: str) -> dict[str, Any]:
    """A stack's objects, or why there are none."""
    try:
        objects = render(Path.cwd(), stack).objects
    except RenderError as refused:
        return {"problem": str(refused)}
    except Exception as failed:  # noqa: BLE001 - whatever a program can end with
        return {"problem": f"the program ends with {type(failed).__name__}"}
    return {
        "objects": [
            {
                "manifest": each.manifest,
                "ignored": each.ignored,
                "protect": each.protect,
                "secrets": each.secrets,
            }
            for each in objects
        ]
    }


def main(out: str, stacks: Sequence[str]) -> None:
    """Writes what is told of each stack to a file."""
    Path(out).write_text(json.dumps({stack: told(stack) for stack in stacks}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
