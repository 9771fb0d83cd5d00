"""What a command loads before it does anything: an import that it does not need is waited for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.recording import ROOT

PROGRAM = """
import sys
from sandbox.cli import app
try:
    app(sys.argv[1:])
finally:
    print("loaded:", *sys.modules)
"""


@pytest.mark.parametrize(
    ("command", "unneeded"),
    [
        ("--help", {"pulumi", "kubernetes", "urllib.request", "ruamel.yaml"}),
        ("status --help", {"pulumi", "kubernetes", "urllib.request", "ruamel.yaml"}),
        ("status --name absent", {"pulumi", "grpc", "xml.etree"}),
        ("status --cluster --name absent", {"pulumi", "kubernetes", "urllib.request"}),
        ("kubectl --name absent get pods", {"pulumi", "kubernetes", "urllib.request"}),
        ("destroy --name absent", {"pulumi", "grpc"}),
    ],
)
def test_a_command_loads_nothing_that_it_does_not_need(command: str, unneeded: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = done.stdout.rpartition("loaded:")[2].split()
    assert "sandbox.cli" in loaded, done.stderr
    assert not unneeded & {*loaded}
