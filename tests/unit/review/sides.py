"""Stacks before and after, rendered in this process, as a review compares them."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ado_infra.render.objects import RenderedObject
from ado_infra.review.comparison import Comparison, compared
from ado_infra.review.report import Against, report
from ado_infra.review.side import Side, here
from tests.support.recording import ROOT, merged, stack_config

AGAINST = Against(ref="main", commit="0123456789abcdef")
CIPHER = "v1:Y2FuYXJ5:canary"


@contextmanager
def project(config: Mapping[str, Any], stack: str = "dev") -> Generator[Path]:
    """A project with one stack, and the program of this one."""
    with TemporaryDirectory() as made:
        directory = Path(made)
        (directory / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
        (directory / f"Pulumi.{stack}.yaml").write_text(json.dumps({"config": config}))
        (directory / "__main__.py").write_text((ROOT / "__main__.py").read_text())
        yield directory


def side(changes: Mapping[str, Any] | None = None, stack: str = "dev") -> Side:
    """A committed stack, its config deeply updated; rendered once."""
    return _side(json.dumps(changes or {}, sort_keys=True), stack)


@cache
def _side(changes: str, stack: str) -> Side:
    with project(merged(stack_config(stack), json.loads(changes)), stack) as directory:
        found = here(directory, stack)
    assert not found.problem, found.problem
    return found


def altered(
    given: Side, title: str, change: Callable[[dict[str, Any]], object], **more: Any
) -> Side:
    """The same where one object is another: what a change of the program's code makes of it."""
    objects = list(given.objects)
    (place,) = [n for n, each in enumerate(objects) if f"{each.kind}/{each.name}" == title]
    manifest = deepcopy(dict(objects[place].manifest))
    change(manifest)
    objects[place] = replace(objects[place], manifest=manifest, **more)
    return replace(given, objects=objects)


def thing(kind: str, name: str, **fields: Any) -> RenderedObject:
    """An object of nobody's."""
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields}
    return RenderedObject(manifest=manifest, wave=0, ignored=(), protect=False, secrets=())


def written(*comparisons: Comparison) -> str:
    """The report of what was compared."""
    return report(comparisons, AGAINST)


def told(before: Side | None, after: Side | None, **more: Any) -> str:
    """The report of one stack."""
    return written(compared("dev", before, after, **more))
