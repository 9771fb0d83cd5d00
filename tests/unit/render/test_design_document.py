"""docs/design-document.md: every field of the design's YAML is in `prod`, but for those named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from kubernetes.utils.quantity import parse_quantity

from tests.support.recording import ROOT
from tests.unit.render.test_render import rendering

DESIGN = (ROOT / "tests" / "support" / "design.yaml").read_text()
PAGE = (ROOT / "docs" / "design-document.md").read_text()
PORTS = {3000: {"http", "grpc"}, 3001: {"ws"}}
"""Ports of the design → what they are called here."""
FIELD = re.compile(r"^\| (\w+ `[\w-]+`) \| `([^`]+)` \|", re.MULTILINE)
NAMED_BY = ("name", "path", "mountPath", "type")


def _fields(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Path → value of everything below; an item of a list by its name, where it has one."""
    match value:
        case dict():
            for key, below in value.items():
                yield from _fields(below, f"{at}.{key}")
        case list():
            for index, below in enumerate(value):
                named = below if isinstance(below, dict) else {}
                name = next((named[key] for key in NAMED_BY if key in named), index)
                yield from _fields(below, f"{at}.{name}")
        case str() if at.endswith("config.yaml"):
            yield from _fields(yaml.safe_load(value), at)
        case _:
            yield at.removeprefix("."), value


def _same(field: str, design: Any, ours: Any) -> bool:
    """Whether both mean the same."""
    if field.rpartition(".")[2] in {"cpu", "memory"}:
        return bool(parse_quantity(design) == parse_quantity(ours))
    return ours in PORTS.get(design, ()) or bool(design == ours)


def _differing() -> tuple[set[tuple[str, str]], int]:
    """Object and field of what differs, and how many fields there are."""
    found = [yaml.safe_load(each.text()) for each in rendering("prod").objects]
    ours = {(each["kind"], each["metadata"]["name"]): dict(_fields(each)) for each in found}
    differing: set[tuple[str, str]] = set()
    count = 0
    for manifest in yaml.safe_load_all(DESIGN):
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        for field, value in _fields(manifest):
            count += 1
            here = ours[kind, name].get(field)
            if here is None or not _same(field, value, here):
                differing.add((f"{kind} `{name}`", field))
    return differing, count


def test_the_page_names_every_field_that_differs_and_no_other() -> None:
    differing, fields = _differing()
    assert fields > 150
    assert set(FIELD.findall(PAGE)) == differing
