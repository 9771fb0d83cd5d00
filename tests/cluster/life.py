"""A small sandbox, what runs in it, and what there is of it on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sandbox.build import images
from sandbox.cluster import cluster, kubectl
from sandbox.errors import SandboxError
from sandbox.host import cgroups, programs
from sandbox.host.mounts import mounts
from sandbox.host.programs import State
from sandbox.paths import CHECKOUT, Sandbox
from tests.cluster.sandboxes import LIFE

IMAGE = "sandbox-test/dashboard:1"
INTERRUPTED = "Interrupted; the same command goes on from here.\n"
"""All that a command says of Ctrl-C."""


def command(*arguments: str, sandbox: Sandbox = LIFE) -> subprocess.CompletedProcess[str]:
    """Run the sandbox's command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments, "--name", sandbox.name],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def started(*arguments: str) -> subprocess.Popen[str]:
    """The sandbox's command line, as a shell starts it in the background: SIGINT is ignored."""
    ignoring = ["env", "--ignore-signal=INT", sys.executable]
    return subprocess.Popen(
        [*ignoring, "-m", "sandbox", *arguments, "--name", LIFE.name],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def asks(command: subprocess.Popen[str]) -> bool:
    """Whether a command has started kubectl."""
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
    return any(cgroups.command_name(int(child)) == "kubectl" for child in children)


def succeed(*arguments: str, sandbox: Sandbox = LIFE) -> str:
    done = command(*arguments, sandbox=sandbox)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def until(what: str, condition: Callable[[], Any], deadline: float = 60, pause: float = 0.1) -> Any:
    """Wait for a condition and return what it returned."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(pause)
    pytest.fail(f"not within {deadline:.0f} s: {what}")


def get(*what: str, sandbox: Sandbox = LIFE) -> Any:
    return json.loads(kubectl.run(sandbox, "get", *what, "--output=json"))


def pid_of(program: str) -> int:
    pid = next(s.pid for s in programs.read_status(LIFE) if s.name == program)
    assert pid
    return pid


def is_ready_again(program: str, old_pid: int) -> bool:
    return any(
        s.name == program and s.state is State.READY and s.pid != old_pid
        for s in programs.read_status(LIFE)
    )


def wait_for_web(sandbox: Sandbox = LIFE) -> None:
    kubectl.run(sandbox, "rollout", "status", "daemonset/web", "--timeout=60s")


def web_pods(sandbox: Sandbox = LIFE) -> list[dict[str, Any]]:
    pods: list[dict[str, Any]] = get("pods", "--selector=app=web", sandbox=sandbox)["items"]
    return sorted(pods, key=lambda pod: str(pod["spec"]["nodeName"]))


def containers(sandbox: Sandbox = LIFE) -> list[str]:
    statuses = [pod["status"]["containerStatuses"][0] for pod in web_pods(sandbox)]
    return [status["containerID"] for status in statuses]


def fetch(port: int) -> int:
    status: int = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).status
    return status


def fetch_inside(pod: str, *urls: str) -> None:
    """Let a pod fetch from each URL, repeatedly, so that every endpoint gets its turn."""
    program = (
        "import sys, urllib.request\n"
        "for url in sys.argv[1:]:\n"
        "    for _ in range(12):\n"
        "        assert urllib.request.urlopen(url, timeout=3).status == 200, url\n"
    )

    def all_answer() -> bool:
        try:
            kubectl.run(LIFE, "exec", pod, "--", "python3", "-c", program, *urls)
        except SandboxError:
            return False  # Ready, but not yet known to every node's kube-proxy
        return True

    until(f"{pod} reaches {urls}", all_answer, deadline=10)


def deploy(sandbox: Sandbox = LIFE) -> None:
    """A web server on every node with a Service, and a claim with a line in it."""
    images.provide(cluster.containerd_sockets(sandbox), [IMAGE], lambda _: None)
    security = {"runAsUser": 999, "runAsGroup": 999, "fsGroup": 999}
    write_line = "test -e /data/line || echo kept > /data/line; exec sleep 1d"

    def template(name: str, container: dict[str, Any], **spec: Any) -> dict[str, Any]:
        containers = [{"name": name, "image": IMAGE, **container}]
        spec |= {"containers": containers, "terminationGracePeriodSeconds": 1}
        return {"metadata": {"labels": {"app": name}}, "spec": spec}

    probe = {"tcpSocket": {"port": 3000}, "periodSeconds": 1}
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    web = {
        "selector": {"matchLabels": {"app": "web"}},
        "template": template("web", {"readinessProbe": probe}),
    }
    data = {
        "serviceName": "data",
        "selector": {"matchLabels": {"app": "data"}},
        "template": template(
            "data",
            {
                "command": ["/bin/sh", "-c", write_line],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            },
            securityContext=security,
        ),
        "volumeClaimTemplates": [claim],
    }
    service = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 3000}]}
    items = [
        {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
        for version, kind, name, spec in (
            ("apps/v1", "DaemonSet", "web", web),
            ("apps/v1", "StatefulSet", "data", data),
            ("v1", "Service", "web", service),
        )
    ]
    listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl.run(sandbox, "apply", "--filename=-", standard_input=listing)
    wait_for_web(sandbox)
    kubectl.run(sandbox, "rollout", "status", "statefulset/data", "--timeout=60s")


def line_in_volume() -> str:
    kubectl.run(LIFE, "wait", "--for=condition=Ready", "pod/data-0", "--timeout=60s")
    return kubectl.run(LIFE, "exec", "data-0", "--", "cat", "/data/line").strip()


def publish(sandbox: Sandbox = LIFE) -> int:
    address = get("service", "web", sandbox=sandbox)["spec"]["clusterIP"]
    return cluster.publish(sandbox, {"web": (address, 80)})["web"]


def traces(sandbox: Sandbox) -> list[str]:
    """Whatever on this machine bears the sandbox's name; written without the sandbox's help."""
    found = [f"mount {m.target}" for m in mounts() if sandbox.name in m.target.parts]
    directories = [Path("/run/netns"), Path("/var/lib/cni/results"), Path("/var/log/containers")]
    directories += [Path("/var/lib/ado-sandbox"), Path("/run/ado-sandbox")]
    for directory in directories:
        for path in directory.glob("*") if directory.is_dir() else ():
            target = content = ""
            with suppress(FileNotFoundError):  # another sandbox's
                target = str(path.readlink()) if path.is_symlink() else ""
                content = path.read_text() if "cni" in path.parts else ""
            if any(sandbox.name in text for text in (path.name, target, content)):
                found.append(f"file {path}")
    # Not a glob, which fails when another sandbox's group goes away meanwhile.
    groups = [Path(directory) for directory, _, _ in os.walk("/sys/fs/cgroup")]
    found += [f"group {group}" for group in groups if group.name == sandbox.name]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            membership = (process / "cgroup").read_text()
            arguments = (process / "cmdline").read_text()
        except OSError:
            continue
        if f"ado-sandbox/{sandbox.name}" in membership + arguments:
            found.append(f"process {process.name} {arguments}")
    return found


def shim_sockets(sandbox: Sandbox) -> list[Path]:
    """Sockets of the sandbox's shims, which containerd keeps in a directory shared by all."""
    paths = set()
    for pid in cgroups.processes(sandbox.cgroup):
        # as seen in the namespace of the process, whose nodes are nobody else's
        paths |= set(Path(f"/proc/{pid}/net/unix").read_text().split())
    return [path for path in map(Path, paths) if path.parent == Path("/run/containerd/s")]
