"""The sandbox itself: what it offers, what it survives, and that nothing of it stays behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox import files
from sandbox.build import images
from sandbox.cluster import cluster, health, kubectl
from sandbox.errors import SandboxError
from sandbox.host import cgroups, network, programs
from sandbox.host.mounts import unmount_below
from sandbox.paths import Sandbox
from tests.cluster.life import (
    IMAGE,
    INTERRUPTED,
    asks,
    command,
    containers,
    deploy,
    fetch,
    fetch_inside,
    get,
    is_ready_again,
    line_in_volume,
    pid_of,
    publish,
    shim_sockets,
    started,
    succeed,
    traces,
    until,
    wait_for_web,
    web_pods,
)
from tests.cluster.sandboxes import LIFE, NEIGHBOUR

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the sandbox needs root")


@pytest.fixture(scope="module", autouse=True)
def life() -> Iterator[None]:
    for sandbox in (LIFE, NEIGHBOUR):
        succeed("down", sandbox=sandbox)
    try:
        succeed("start", "--nodes", "2")
        deploy()
        yield
    finally:
        for sandbox in (LIFE, NEIGHBOUR):
            succeed("down", sandbox=sandbox)


def test_pods_reach_pods_and_services_of_all_nodes_by_address_and_name() -> None:
    pods = web_pods()
    assert [pod["spec"]["nodeName"] for pod in pods] == ["n1", "n2"]
    addresses = [f"http://{pod['status']['podIP']}:3000/" for pod in pods]
    for pod in pods:
        names = ["http://web/", "http://web.default.svc.cluster.local/"]
        fetch_inside(pod["metadata"]["name"], *addresses, *names)


def test_nothing_listens_on_the_machine_but_relays_on_loopback() -> None:
    publish()
    own = cgroups.processes(LIFE.cgroup)
    listening = subprocess.run(
        ["ss", "--listening", "--tcp", "--udp", "--numeric", "--processes", "--no-header"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    lines = [line for line in listening if any(f"pid={pid}," in line for pid in own)]
    assert len(lines) == 2  # the API server and the Service
    assert all(line.split()[4].startswith("127.0.0.1:") for line in lines), lines


def test_the_kubeconfig_is_private_and_verifies_the_server() -> None:
    path = Path(succeed("kubeconfig").strip())
    assert path.stat().st_mode & 0o777 == 0o600
    configuration = json.loads(path.read_text())
    assert configuration["current-context"] == f"ado-sandbox-{LIFE.name}"
    server = configuration["clusters"][0]["cluster"]
    assert set(server) == {"server", "certificate-authority-data"}
    assert server["server"].startswith("https://127.0.0.1:")


def test_a_volume_comes_and_goes_with_its_claim() -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "brief"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["sleep", "1d"],
        "volumeMounts": [{"name": "brief", "mountPath": "/brief"}],
    }
    volume = {"name": "brief", "persistentVolumeClaim": {"claimName": "brief"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "brief"},
        "spec": {"containers": [container], "volumes": [volume]},
    }
    listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": [claim, pod]})
    kubectl.run(LIFE, "apply", "--filename=-", standard_input=listing)
    kubectl.run(LIFE, "wait", "--for=condition=Ready", "pod/brief", "--timeout=60s")
    name = get("pvc", "brief")["spec"]["volumeName"]
    assert (LIFE.volumes / name).is_dir()

    kubectl.run(LIFE, "delete", "pod/brief", "pvc/brief", "--grace-period=1")
    kubectl.run(LIFE, "wait", "--for=delete", f"pv/{name}", "--timeout=30s")
    assert not (LIFE.volumes / name).exists()


def test_a_volume_belongs_to_the_group_its_pod_asks_for() -> None:
    assert line_in_volume() == "kept"  # written by uid 999
    volume = LIFE.volumes / get("pvc", "data-data-0")["spec"]["volumeName"]
    assert volume.stat().st_gid == 999


def test_top_shows_nodes_and_pods() -> None:
    def top() -> bool:
        try:
            lines = kubectl.run(LIFE, "top", "pods", "--no-headers").splitlines()
            return len(lines) == 3 and len(kubectl.run(LIFE, "top", "nodes").splitlines()) == 3
        except SandboxError:  # "metrics not available yet"
            return False

    until("metrics of every node and pod", top)


def test_a_second_start_changes_nothing() -> None:
    before = programs.read_status(LIFE)
    succeed("start")
    assert programs.read_status(LIFE) == before


def test_status_says_what_runs() -> None:
    seen = json.loads(succeed("status", "--cluster", "--json"))
    assert seen["running"]
    assert [node["name"] for node in seen["nodes"] if node["ready"]] == ["n1", "n2"]
    unknown = command("status", "--cluster", sandbox=Sandbox("test-unknown"))
    assert unknown.returncode == 3
    assert "There is no sandbox test-unknown" in unknown.stdout


@pytest.mark.parametrize("program", ["n1-containerd", "kube-apiserver", "etcd"])
def test_a_killed_program_is_started_again_and_pods_go_on(program: str) -> None:
    before, pid = containers(), pid_of(program)
    os.kill(pid, signal.SIGKILL)
    until(f"{program} ready again", lambda: is_ready_again(program, pid))
    until("everything running", lambda: health.look(LIFE).running)
    assert containers() == before


def test_a_node_whose_object_was_deleted_is_named_and_made_anew() -> None:
    before = containers()
    kubectl.run(LIFE, "delete", "node", "n1")
    seen = command("status", "--cluster")
    assert seen.returncode == 3
    assert "Node n1 is not there" in seen.stdout
    nothing = succeed("destroy")
    assert "Node n1 is not there" in nothing
    assert "nothing to delete" in nothing
    succeed("start")
    assert health.look(LIFE).running
    assert containers() == before


def test_status_waits_for_nobody_who_changes_the_stack() -> None:
    """Of a stack of which only the namespace is there."""
    namespace = {"type": "kubernetes:core/v1:Namespace"}
    namespace |= {"outputs": {"metadata": {"name": "default"}}}
    state = {"checkpoint": {"latest": {"resources": [namespace]}}}
    stacks = LIFE.pulumi / "state" / ".pulumi" / "stacks" / "ado"
    files.write(stacks / "dev.json", json.dumps(state))
    try:
        with files.locked(LIFE.pulumi / "lock"), files.locked(LIFE.pulumi / "deploying"):
            seen = command("status", sandbox=LIFE)
    finally:
        shutil.rmtree(LIFE.pulumi)
    assert seen.returncode == 3
    assert seen.stdout.startswith("Under way: `")
    assert f"(pid {os.getpid()})" in seen.stdout
    assert "Nothing of a platform runs in namespace default" in seen.stdout


def test_an_api_server_that_hangs_is_named_in_time_and_mended() -> None:
    before, pid = containers(), pid_of("kube-apiserver")
    os.kill(pid, signal.SIGSTOP)
    try:
        asking = [started(what) for what in ("status", "preview", "destroy")]
        interrupted = started("status", "--cluster")
        until("it asks", lambda: asks(interrupted))
        interrupted.send_signal(signal.SIGINT)
        assert interrupted.communicate(timeout=5) == ("", INTERRUPTED)
        assert interrupted.returncode == 130
        for process in asking:
            _, said = process.communicate(timeout=30)
            assert "The API server does not answer within 10 s" in said
            assert process.returncode == 3
        succeed("start")
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    assert health.look(LIFE).running
    assert containers() == before


def test_start_repairs_a_sandbox_whose_supervisor_was_killed() -> None:
    before, port = containers(), publish()
    supervisor = programs.supervisor_pid(LIFE)
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    until("no supervisor", lambda: programs.supervisor_pid(LIFE) is None)
    assert command("status", "--cluster").returncode == 3
    succeed("start")
    assert containers() == before
    assert line_in_volume() == "kept"
    assert publish() == port
    assert fetch(port) == 200


def test_start_after_a_reboot_brings_everything_back() -> None:
    """The machine's part is played: processes and namespaces gone, mounts too, files left."""
    port, sockets = publish(), shim_sockets(LIFE)
    cgroups.kill(LIFE.cgroup)
    unmount_below(LIFE.runtime)
    unmount_below(LIFE.state)
    network.remove(LIFE)
    cgroups.remove(LIFE.cgroup)
    (LIFE.runtime / "boot-id").write_text("another boot")
    succeed("start")
    wait_for_web()
    assert line_in_volume() == "kept"
    until("the published Service answering", lambda: fetch(port) == 200)
    assert [socket for socket in sockets if socket.exists()] == []


def test_two_sandboxes_live_side_by_side() -> None:
    succeed("start", "--nodes", "1", sandbox=NEIGHBOUR)
    assert json.loads(succeed("status", "--cluster", "--json", sandbox=NEIGHBOUR))["running"]
    assert len(get("nodes", sandbox=NEIGHBOUR)["items"]) == 1
    assert get("pods", sandbox=NEIGHBOUR)["items"] == []
    before = containers()
    succeed("down", sandbox=NEIGHBOUR)
    assert traces(NEIGHBOUR) == []
    assert containers() == before
    assert health.look(LIFE).running


def test_nodes_are_added_and_never_taken_away() -> None:
    refused = command("start", "--nodes", "1")
    assert refused.returncode == 1
    assert "has 2 nodes" in refused.stderr
    succeed("start", "--nodes", "3")
    images.provide(cluster.containerd_sockets(LIFE), [IMAGE], lambda _: None)
    wait_for_web()
    pods = web_pods()
    assert [pod["spec"]["nodeName"] for pod in pods] == ["n1", "n2", "n3"]
    addresses = [f"http://{pod['status']['podIP']}:3000/" for pod in pods]
    for pod in pods:
        fetch_inside(pod["metadata"]["name"], *addresses, "http://web/")
    port = publish()
    assert [fetch(port) for _ in range(12)] == [200] * 12


@pytest.mark.parametrize("after", ["supervisor", "containerd"])
def test_down_leaves_nothing_after_a_kill(after: str) -> None:
    """Of a running sandbox with pods, whatever died just before."""
    if not health.look(LIFE).running:
        succeed("start", "--nodes", "1")
        deploy()
    victim = programs.supervisor_pid(LIFE) if after == "supervisor" else pid_of(f"n1-{after}")
    sockets = shim_sockets(LIFE)
    assert sockets
    assert victim
    os.kill(victim, signal.SIGKILL)
    succeed("down")
    assert traces(LIFE) == []
    assert [socket for socket in sockets if socket.exists()] == []
    assert succeed("down") == f"There is no sandbox {LIFE.name}.\n"


@pytest.mark.parametrize(
    ("how", "mend"),
    [(signal.SIGINT, "start"), (signal.SIGKILL, "start"), (signal.SIGKILL, "down")],
)
def test_an_interrupted_start_is_mended_by_start_and_by_down(
    how: signal.Signals, mend: str
) -> None:
    succeed("down")
    process = started("start", "--nodes", "1")
    until("etcd running", lambda: any(s.pid for s in programs.read_status(LIFE)))
    process.send_signal(how)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (
        (130, INTERRUPTED) if how is signal.SIGINT else (-9, "")
    )
    succeed(mend)
    assert health.look(LIFE).running is (mend == "start")
    succeed("down")
    assert traces(LIFE) == []


def test_two_starts_at_once_make_one_sandbox() -> None:
    succeed("down")
    ups = [started("start", "--nodes", "1") for _ in range(2)]
    told = [up.communicate(timeout=120)[1] for up in ups]
    assert [up.returncode for up in ups] == [0, 0]
    assert sum(" to end." in errors for errors in told) == 1
    assert health.look(LIFE).running
