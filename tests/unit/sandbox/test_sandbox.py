"""Names, records, locks, keys and relays: the parts that need no root."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner

from sandbox import cli, errors, paths
from sandbox.__main__ import main
from sandbox.cluster import cluster, control_plane, kubectl, record, removal
from sandbox.cluster.record import Link, Record
from sandbox.errors import SandboxError
from sandbox.files import locked, write
from sandbox.host import machine, mounts, network, relay
from sandbox.paths import Sandbox
from tests.support.recording import ROOT

OF_STACKS = ("up", "preview", "status", "picture", "destroy")
COMMANDS = (*OF_STACKS, "prepare", "start", "down", "kubeconfig")


def test_the_pages_commands_freeze_a_node_and_let_it_go_on(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "sandbox.md").read_text()
    freeze, go_on = (line for line in page.splitlines() if line.startswith("cat $(find /sys"))
    group = tmp_path / Sandbox("default").cgroup / "n2" / "daemons"
    group.mkdir(parents=True)
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        try:
            (group / "cgroup.procs").write_text(f"{process.pid}\n")
            for line, state in ((freeze, "T"), (go_on, "S")):
                typed = line.replace("/sys/fs/cgroup", str(tmp_path))
                subprocess.run(typed, shell=True, check=True)  # noqa: S602 - the page's own
                wait_for_state(process.pid, state)
        finally:
            process.kill()


def wait_for_state(pid: int, state: str) -> None:
    """Until the kernel says that a process is stopped, or sleeps."""
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/stat").read_text().split()[2] != state:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["", "Default", "a_b", "-a", "a-", "1a", "a" * 21, "a/b", "a.b"])
def test_names_that_cannot_be_a_directory_a_socket_and_a_namespace_are_refused(name: str) -> None:
    with pytest.raises(SandboxError, match="cannot name a sandbox"):
        Sandbox(name)


def test_no_sandbox_owns_the_namespaces_of_one_with_a_similar_name() -> None:
    names = [Sandbox("a").fabric, Sandbox("a").namespace("n12")]
    others = [Sandbox("a-n1").namespace("n2"), Sandbox("a-n1").fabric, Sandbox("ab").fabric]
    assert [name for name in names + others if Sandbox("a").owns_namespace(name)] == names


def test_a_command_that_is_advised_acts_where_it_was_advised(tmp_path: Path) -> None:
    first, second, sandbox = Sandbox(), Sandbox("second"), ".venv/bin/python -m sandbox"
    assert first.command("down") == "make down"
    assert first.command("up", stack="dev", project=paths.CHECKOUT) == "make up STACK=dev"
    assert first.command("secret KEY", stack="dev") == f"{sandbox} secret KEY --stack dev"
    assert first.command("start --nodes 3") == f"{sandbox} start --nodes 3"
    assert second.command("down") == f"{sandbox} down --name second"
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}: $(READY)" in makefile for target in paths.MAKE_TARGETS)
    there = f"--stack dev --project '{tmp_path}/a b'"
    assert first.command("up", stack="dev", project=tmp_path / "a b") == f"{sandbox} up {there}"


def test_without_root_there_is_one_message_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for command in (*COMMANDS, "status --cluster", "logs", "secret redisUrl"):
        monkeypatch.setattr(sys, "argv", ["sandbox", *command.split()])
        with pytest.raises(SystemExit) as ended:
            errors.run(main)
        printed = capsys.readouterr()
        assert ended.value.code == 1
        assert printed.out == ""
        assert printed.err.startswith("The sandbox needs root")
        assert len(printed.err.splitlines()) == 1


def test_missing_kernel_features_are_named_together(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sandbox  # has no control groups
    monkeypatch.setattr(machine, "_knows_overlay", lambda: False)
    with pytest.raises(SandboxError, match=r"control groups .*overlay"):
        machine.require_kernel()


def test_fewer_nodes_than_there_are_is_refused(sandbox: Sandbox) -> None:
    record.save(sandbox, Record(nodes=4))
    with pytest.raises(SandboxError, match=r"has 4 nodes .* start --nodes 3 --name unit`\.$"):
        cluster._plan(sandbox, 3)
    assert cluster._plan(sandbox, 5).nodes == 5
    assert cluster._plan(sandbox, None).nodes == 4


def test_a_link_keeps_its_port_and_gets_another_only_when_it_is_taken(sandbox: Sandbox) -> None:
    first = record.with_links(Record(nodes=1), {"web": "10.96.0.7:80"})
    record.save(sandbox, first)
    assert record.load(sandbox) == first
    moved = record.with_links(first, {"web": "10.96.0.8:80"})
    assert moved.links["web"] == Link(first.links["web"].port, "10.96.0.8:80")
    assert record.with_usable_ports(moved) == moved
    with socket.create_server(("127.0.0.1", moved.links["web"].port)):
        other = record.with_usable_ports(moved).links["web"]
    assert other.port != moved.links["web"].port
    assert other.target == "10.96.0.8:80"


def test_a_sandboxs_status_shows_each_link_as_it_is_opened(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = {"gateway": "10.96.0.7:80", "gateway-ws": "10.96.0.7:8080"}
    kept = record.with_links(Record(nodes=1), links)
    record.save(sandbox, kept)
    monkeypatch.setattr(machine, "require_root", lambda: None)
    shown = CliRunner().invoke(cli.app, ["status", "--cluster", "--name", sandbox.name]).stdout
    assert f"gateway: http://127.0.0.1:{kept.links['gateway'].port}" in shown
    assert f"gateway-ws: ws://127.0.0.1:{kept.links['gateway-ws'].port}" in shown


def test_a_written_file_has_its_mode_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_whose_file_its_holder_deleted_keeps_others_out_all_the_same(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lock"
    waits, order = threading.Event(), []

    def second() -> None:
        with locked(path, lambda _: waits.set()):
            order.append("second")
            assert path.exists()

    thread = threading.Thread(target=second)
    with locked(path) as held:
        thread.start()
        assert waits.wait(5)
        order.append("first")
        held.unlink()
    thread.join(5)
    assert order == ["first", "second"]


def test_who_waits_for_a_lock_is_told_which_command_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    told: list[str] = []
    (tmp_path / "holder.py").write_text(
        "from pathlib import Path\n"
        "from sandbox.files import locked\n"
        "with locked(Path('lock')):\n"
        "    print('held', flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "holder", "preview", "--stack", "dev"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"

        def waiting(holding: str) -> None:
            told.append(holding)
            holder.communicate(b"\n")

        with locked(path, waiting):
            assert told == [f"`holder preview --stack dev` (pid {holder.pid})"]
            assert f"(pid {os.getpid()})" in path.read_text()


def test_the_admins_kubeconfig_is_private_and_its_certificates_verify(sandbox: Sandbox) -> None:
    control_plane.write_admin_kubeconfig(sandbox, 12345)
    assert stat.S_IMODE(sandbox.kubeconfig.stat().st_mode) == 0o600
    document = json.loads(sandbox.kubeconfig.read_text())
    assert document["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:12345"
    keys = control_plane.keys(sandbox)
    authority = x509.load_pem_x509_certificate(keys.authority.certificate.read_bytes())
    admin = keys.identity("admin")
    certificate = x509.load_pem_x509_certificate(admin.certificate.read_bytes())
    certificate.verify_directly_issued_by(authority)
    assert "system:masters" in certificate.subject.rfc4514_string()
    private = [p for p in (sandbox.state / "pki").rglob("*") if p.name in {"tls.key", "kubeconfig"}]
    assert private
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}


def test_keys_are_made_once(sandbox: Sandbox) -> None:
    before = control_plane.keys(sandbox).authority.certificate.read_bytes()
    assert control_plane.keys(sandbox).authority.certificate.read_bytes() == before


def test_no_secret_is_on_a_command_line(sandbox: Sandbox) -> None:
    tools = dict.fromkeys(("etcd", "kube-apiserver", "kube-controller-manager"), Path("/x"))
    listed = control_plane.programs(sandbox, tools | {"kube-scheduler": Path("/x")})
    arguments = " ".join(argument for program in listed for argument in program.command)
    for path in (sandbox.state / "pki").rglob("tls.key"):
        assert path.read_text().splitlines()[1] not in arguments
    assert "token" not in arguments


def test_mount_points_with_blanks_are_understood() -> None:
    line = r"36 35 98:0 / /run/a\040b rw,noatime shared:1 - overlay overlay rw,lowerdir=/x"
    assert mounts._parse(line) == mounts.Mount(Path("/run/a b"), "overlay")


def test_files_are_kept_when_something_is_still_mounted_among_them(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = mounts.Mount(sandbox.state / "nodes/n1/stuck", "overlay")
    monkeypatch.setattr(mounts, "mounts", lambda: [stuck])
    monkeypatch.setattr("subprocess.run", lambda *_, **__: None)
    with pytest.raises(SandboxError, match="nothing there was deleted"):
        removal.remove(sandbox)
    assert sandbox.state.exists()


def test_a_relay_hands_bytes_on_in_both_directions_until_both_sides_are_done() -> None:
    async def scenario() -> None:
        async def echo_backwards(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write((await reader.read())[::-1])  # after the sender is done
            writer.close()

        target = await asyncio.start_server(echo_backwards, "127.0.0.1", 0)
        listener = socket.create_server(("127.0.0.1", 0))
        host, port = target.sockets[0].getsockname()
        serving = asyncio.create_task(relay.serve(listener, host, port))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"abc" * 100_000)
        writer.write_eof()
        assert await reader.read() == b"cba" * 100_000
        writer.close()
        target.close()
        serving.cancel()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_every_node_has_addresses_of_its_own() -> None:
    nodes = [f"n{number}" for number in range(1, network.MAXIMUM_NODES + 1)]
    assert len({network.node_address(node) for node in nodes}) == len(nodes)
    assert len({network.pod_subnet(node) for node in nodes}) == len(nodes)
    assert network.FABRIC_ADDRESS not in map(network.node_address, nodes)


def test_kubectl_gets_its_own_options_and_the_sandboxs_kubeconfig(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "require_root", lambda: None)
    monkeypatch.setattr(kubectl, "_program", lambda: "/tools/kubectl")
    became: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda *given: became.append(given))
    command = ["kubectl", "--name", sandbox.name, "get", "pods", "-A", "--name", "x", "--help"]
    absent = CliRunner().invoke(cli.app, command)
    assert "up --stack dev --name unit` starts it" in str(absent.exception)
    sandbox.kubeconfig.write_text("")
    CliRunner().invoke(cli.app, command, catch_exceptions=False)
    ((program, arguments, environment),) = became
    assert [program, *arguments[1:]] == ["/tools/kubectl", *command[3:]]
    assert environment["KUBECONFIG"] == str(sandbox.kubeconfig)


@pytest.mark.parametrize("command", ["", *COMMANDS, "kubectl", "logs", "secret"])
def test_every_command_has_help(command: str) -> None:
    done = CliRunner().invoke(cli.app, [*command.split(), "--help"])
    assert done.exit_code == 0
    assert "Usage: " in done.output
