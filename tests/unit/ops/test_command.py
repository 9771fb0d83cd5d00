"""`ado-ops`, as it is started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ado_infra.ops.cli import COMMANDS
from tests.support.recording import ROOT

(MODULE, FUNCTION) = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"][
    "ado-ops"
].split(":")


def command(before: str = "pass") -> list[str]:
    """The console script in a process of its own, after some lines of Python."""
    program = f"import sys\n{before}\nsys.argv[0] = 'ado-ops'\n"
    program += f"from {MODULE} import {FUNCTION}\n{FUNCTION}()"
    return [sys.executable, "-c", program]


def started(*arguments: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    """What the console script does, in a process of its own."""
    return subprocess.run(
        [*command(before), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_lists_its_commands_under_its_name() -> None:
    shown = started("--help")
    assert shown.returncode == 0, shown.stderr
    assert "Usage: ado-ops" in shown.stdout
    for name in COMMANDS:
        assert name in shown.stdout


@pytest.mark.parametrize("package", ["typer", "rich", "kubernetes"])
def test_without_its_extra_it_says_what_to_install(package: str) -> None:
    refused = started("status", "--stack", "dev", before=f"sys.modules['{package}'] = None")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith(f"ado-ops needs {package}, which is not installed: pip")
    assert "ado-infra[ops]" in refused.stderr
    assert "Traceback" not in refused.stderr


KUBECONFIG = """
current-context: here
contexts: [{name: here, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:%d"}}]
users: [{name: u, user: {}}]
"""


def test_ctrl_c_ends_what_only_waits_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: ado\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (tmp_path / "kubeconfig").write_text(KUBECONFIG % silent.getsockname()[1])
        with subprocess.Popen(
            [*command(), "postgres", "status", "--stack", "dev"],
            cwd=tmp_path,
            env=os.environ | {"KUBECONFIG": str(tmp_path / "kubeconfig"), "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            silent.settimeout(60)
            connection, _ = silent.accept()  # it has asked, and waits for the answer
            with connection:
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[1:] == ["Interrupted."]


INSIDE = """
import os, signal
from kubernetes import client
from ado_infra.ops import namespace, target
from ado_infra.ops.postgres import fencing
from tests.unit.ops.test_lease import Client, Leases
leases = Leases()
client.CoordinationV1Api = lambda _: leases
target.Target.reach = lambda *_: namespace.Namespace(Client(), "ado-system")
fencing.fence = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)
"""


def test_ctrl_c_in_a_change_says_that_the_same_command_goes_on() -> None:
    done = started("postgres", "fence", "1", "--stack", "dev", before=INSIDE)
    assert done.returncode == 130
    assert done.stderr == "Interrupted: the same command goes on from here.\n"
    assert done.stdout == ""


IMPORTING = """
class Interrupting:
    def find_spec(name, *_):
        if name == "kubernetes":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting)
"""


def test_ctrl_c_while_it_is_still_loaded_is_one_line_too() -> None:
    done = started("status", "--stack", "dev", before=IMPORTING)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


@pytest.mark.parametrize(
    ("options", "name"), [((), "settings.schema.json"), (("--markdown",), "settings.md")]
)
def test_what_a_stack_may_say_is_printed_without_a_cluster(
    options: tuple[str, ...], name: str
) -> None:
    printed = started("schema", *options, before="import os; os.environ['KUBECONFIG'] = '/none'")
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout == (ROOT / "docs" / name).read_text()


LOADED = """
import atexit
atexit.register(lambda: print("loaded:", *sys.modules, file=sys.stderr))
"""


@pytest.mark.parametrize("typed", ["--help", "role", "render --help", "--show-completion bash"])
def test_what_needs_no_cluster_waits_for_no_client_of_it(typed: str) -> None:
    done = started(*typed.split(), before=LOADED)
    loaded = {*done.stderr.rpartition("loaded:")[2].split()}
    assert "ado_infra.ops.cli" in loaded
    assert not loaded & {"kubernetes", "pulumi", "rich"}


def completed(words: str, directory: Path) -> set[str]:
    """What a shell would offer for the last word of a line."""
    told = {
        "_ADO_OPS_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        command(), cwd=directory, env=os.environ | told, capture_output=True, text=True, check=True
    )
    return {*done.stdout.split()}


def test_a_shell_completes_commands_and_the_stacks_that_have_a_file(tmp_path: Path) -> None:
    for stack in ("dev", "prod"):
        (tmp_path / f"Pulumi.{stack}.yaml").touch()
    (tmp_path / "Pulumi.yaml").touch()
    assert completed("ado-ops r", tmp_path) == {
        "redis",
        "render",
        "resume",
        "review",
        "role",
        "rotate-model-key",
    }
    assert completed("ado-ops redis fail", tmp_path) == {"failover"}
    assert completed("ado-ops postgres status --stack ", tmp_path) == {"dev", "prod"}
    assert completed("ado-ops status -s p", tmp_path) == {"prod"}
