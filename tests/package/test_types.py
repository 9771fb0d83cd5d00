"""A consumer's strict type checkers see the types of the installed wheel."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.distribution import Environment, build, run

CONSUMER = Path(__file__).with_name("consumer.py").read_text()
MISTAKES = """\
from ado_infra import Nothing, Site
import ado_infra

site = Site(3, namespace="shop")
ado_infra.missing
ado_infra.__version__ + 1
"""
WRONG_LINES = {1, 4, 5, 6}


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Where the wheel is installed, beside what it depends on; no checkout is near."""
    folder = tmp_path_factory.mktemp("consumer")
    environment = Environment.create(folder / "venv")
    environment.install("--no-deps", "--no-index", build(folder).wheel)
    environment.borrow()
    (folder / "program.py").write_text(CONSUMER)
    (folder / "mistakes.py").write_text(MISTAKES)
    strict = {"typeCheckingMode": "strict", "include": ["."], "exclude": ["venv", "source"]}
    (folder / "pyrightconfig.json").write_text(json.dumps(strict))
    found = run(environment.python, "-c", "import ado_infra as a; print(a.__file__)", cwd=folder)
    assert Path(found.strip()).is_relative_to(environment.folder)
    return environment


def _checked(environment: Environment, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=environment.folder.parent,
        check=False,
        capture_output=True,
        text=True,
    )


def _mypy(environment: Environment, program: str) -> subprocess.CompletedProcess[str]:
    interpreter = ("--python-executable", str(environment.python))
    return _checked(environment, "mypy", "--strict", "--output=json", *interpreter, program)


def _pyright(environment: Environment, program: str) -> subprocess.CompletedProcess[str]:
    interpreter = ("--pythonpath", str(environment.python))
    return _checked(environment, "basedpyright", "--outputjson", *interpreter, program)


def test_strict_mypy_is_clean_and_sees_mistakes(consumer: Environment) -> None:
    clean = _mypy(consumer, "program.py")
    assert clean.returncode == 0, clean.stdout + clean.stderr
    wrong = _mypy(consumer, "mistakes.py")
    assert {json.loads(line)["line"] for line in wrong.stdout.splitlines()} == WRONG_LINES


def test_strict_pyright_is_clean_and_sees_mistakes(consumer: Environment) -> None:
    clean = _pyright(consumer, "program.py")
    assert clean.returncode == 0, clean.stdout + clean.stderr
    wrong = json.loads(_pyright(consumer, "mistakes.py").stdout)["generalDiagnostics"]
    errors = [each for each in wrong if each["severity"] == "error"]
    assert {each["range"]["start"]["line"] + 1 for each in errors} == WRONG_LINES
