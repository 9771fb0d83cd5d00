"""What `python -m build` makes of the checkout, and what its metadata says."""

from __future__ import annotations

import ast
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ado_infra
from tests.support.distribution import Distribution, build, run
from tests.support.recording import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPS = ROOT / "ado_infra" / "ops"
PINS = {None: "requirements.txt", "ops": "requirements-ops.txt"}
"""Extra → where its packages are pinned."""
COMES_ALONG = {"pydantic-core", "protobuf", "googleapis-common-protos"}
"""Whose version pydantic and pulumi choose; the last one shares a namespace with protobuf."""


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    """Built once."""
    return build(tmp_path_factory.mktemp("distribution"))


def _sources() -> set[str]:
    """Every file of the package, as the checkout has it."""
    found = (path for path in (ROOT / "ado_infra").rglob("*") if path.is_file())
    return {str(p.relative_to(ROOT)) for p in found if p.parent.name != "__pycache__"}


def test_the_wheel_has_all_files_of_the_package_and_nothing_else(
    distribution: Distribution,
) -> None:
    with zipfile.ZipFile(distribution.wheel) as wheel:
        names = set(wheel.namelist())
    about = {name for name in names if ".dist-info/" in name}
    assert names - about == _sources()
    assert {"LICENSE", "METADATA", "entry_points.txt"} <= {Path(name).name for name in about}
    for kind in ("py.typed", "data/postgres/files/start.sh", "data/redis/files/redis.conf"):
        assert f"ado_infra/{kind}" in names


def test_the_sdist_has_them_too_and_what_a_reader_wants(distribution: Distribution) -> None:
    with tarfile.open(distribution.sdist) as sdist:
        files = [each.name for each in sdist if each.isfile()]
    names = {name.partition("/")[2] for name in files}
    assert names >= _sources() | {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"}
    assert {name.partition("/")[0] for name in names}.isdisjoint({"tests", "sandbox"})


def test_an_index_would_take_both(distribution: Distribution) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", distribution.wheel, distribution.sdist)


def test_the_version_is_that_of_the_metadata() -> None:
    assert ado_infra.__version__ == PROJECT["version"]


def _ranges(extra: str | None) -> dict[str, Requirement]:
    lines = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    return {canonicalize_name(each.name): each for each in map(Requirement, lines)}


def _imported(paths: Iterator[Path]) -> set[str]:
    """The distributions, other than this one, from which these modules import."""
    names: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=modules):
                    names |= {each.name.partition(".")[0] for each in modules}
                case ast.ImportFrom(module=str(module), level=0):
                    names.add(module.partition(".")[0])
                case _:
                    pass
    foreign = names - set(sys.stdlib_module_names) - {"ado_infra"}
    installed = packages_distributions()
    return {canonicalize_name(each) for name in foreign for each in installed[name]}


def test_the_dependencies_are_what_is_imported() -> None:
    modules = set((ROOT / "ado_infra").rglob("*.py"))
    ops = {path for path in modules if OPS in path.parents}
    library = _imported(iter(modules - ops))
    assert library - COMES_ALONG == set(_ranges(None))
    assert _imported(iter(ops)) - library == set(_ranges("ops"))


@pytest.mark.parametrize("extra", PINS)
def test_the_pins_are_exact_and_within_the_ranges(extra: str | None) -> None:
    lines = (ROOT / PINS[extra]).read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    ranges = _ranges(extra)
    assert {canonicalize_name(pin.name) for pin in pins} == set(ranges)
    for pin in pins:
        (only,) = pin.specifier
        assert only.operator == "=="
        assert ranges[canonicalize_name(pin.name)].specifier.contains(only.version)
