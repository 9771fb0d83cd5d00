"""What `from ado_infra import …` offers, and at what price."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

import ado_infra
from tests.support.recording import ROOT


def test_what_type_checkers_read_is_what_is_imported() -> None:
    tree = ast.parse((ROOT / "ado_infra" / "__init__.py").read_text())
    unread = next(node for node in tree.body if isinstance(node, ast.If))  # as it runs
    imports = [node for node in unread.body if isinstance(node, ast.ImportFrom)]
    declared = {
        (alias.name, str(node.module))
        for node in imports
        for alias in node.names
        if str(node.module).startswith("ado_infra.")
    }
    assert declared == {
        (name, f"ado_infra.{module}") for name, module in ado_infra._MODULES.items()
    }


@pytest.mark.parametrize("name", ado_infra.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(ado_infra, name).__name__ == name


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Workers'"):
        _ = ado_infra.Workers  # pyright: ignore[reportAttributeAccessIssue]


def test_the_package_alone_loads_no_sdk() -> None:
    code = "import ado_infra, sys; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).split()
    assert not {"pulumi", "pydantic", "kubernetes"} & set(loaded)
