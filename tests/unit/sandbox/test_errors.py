"""How a command line ends where nobody reads what it prints."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.recording import ROOT

PRINTING = {
    "print": "print('x' * 100_000)",
    "at the end only": "print('x')",
    "rich": "from rich.console import Console; Console().print('x')",
    "typer": "typer.echo('x' * 100_000)",
}


@pytest.mark.parametrize("statement", PRINTING.values(), ids=PRINTING)
def test_a_command_whose_reader_is_gone_ends_in_silence_as_by_sigpipe(statement: str) -> None:
    program = f"""
import typer
from sandbox import errors
app = typer.Typer(pretty_exceptions_enable=False)
@app.command()
def command():
    {statement}
errors.run(app)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout
        assert running.stderr
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(30) == 141


def test_another_exit_code_stays_as_it_is() -> None:
    program = "from sandbox import errors; errors.run(lambda: exit(3))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("open('/proc/version/a')", "/proc/version/a: Not a directory"),
        ("pathlib.Path('/proc').write_text('')", "/proc: Is a directory"),
        ("subprocess.run(['/no/program'])", "/no/program: No such file or directory"),
        ("os.kill(1 << 22, 0)", "[Errno 3] No such process"),
    ],
)
def test_what_the_machine_refuses_is_one_line_with_path_and_reason(
    statement: str, said: str
) -> None:
    program = (
        "import os, pathlib, subprocess\nfrom sandbox import errors\n"
        f"errors.run(lambda: {statement})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{said}\n")
