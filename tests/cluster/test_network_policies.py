"""NetworkPolicies are enforced on the sandbox's nodes, by a program that can do nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from sandbox.build import images, tools
from sandbox.cluster import cluster as clusters
from sandbox.cluster import control_plane, kubectl, node
from sandbox.host import probes, programs
from sandbox.host.programs import State
from sandbox.paths import Sandbox, netns_path
from tests.cluster.connections import (
    INTERNET,
    METADATA,
    OPEN,
    PORT,
    PRIVATE,
    TIMED_OUT,
    listeners,
    tried,
)
from tests.cluster.life import IMAGE, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the sandbox needs root")

NAMESPACE = "policies"
WHERE = {"caller": "n1", "near": "n1", "peer": "n2"}
"""A pod of each name, and its node."""
API = f"{control_plane.API_SERVICE_ADDRESS}:443"
OUTSIDE = [f"{address}:{PORT}" for address in (METADATA, INTERNET, PRIVATE)]


def pod(name: str, on: str, app: str) -> dict[str, Any]:
    """An HTTP server on port 3000 that is Ready once it has a file `ready`."""
    probe = {"httpGet": {"port": 3000, "path": "/ready"}, "periodSeconds": 1}
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["python3", "-m", "http.server", "--directory=/tmp", "3000"],
        "readinessProbe": probe,
    }
    spec = {"nodeName": on, "containers": [container], "terminationGracePeriodSeconds": 1}
    return _object("v1", "Pod", name, spec, {"app": app})


def _object(
    version: str, kind: str, name: str, spec: dict[str, Any], labels: dict[str, str] | None = None
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels or {}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def become_ready(cluster: Sandbox, name: str) -> None:
    kubectl.run(cluster, "wait", "--for=jsonpath={.status.phase}=Running", *of(f"pod/{name}"))
    kubectl.run(cluster, "exec", *of(name), "--", "touch", "/tmp/ready")  # noqa: S108 - the pod's
    kubectl.run(cluster, "wait", "--for=condition=Ready", "--timeout=60s", *of(f"pod/{name}"))


def of(*what: str) -> tuple[str, ...]:
    return (f"--namespace={NAMESPACE}", *what)


@pytest.fixture(scope="module")
def pods(cluster: Sandbox) -> Iterator[dict[str, str]]:
    """Three pods and a Service of one; name → address with port."""
    images.provide(clusters.containerd_sockets(cluster), [IMAGE], lambda _: None)
    service = {"selector": {"app": "peer"}, "ports": [{"port": 80, "targetPort": 3000}]}
    items = [pod(name, on, name) for name, on in WHERE.items()]
    items.append(_object("v1", "Service", "peer", service))
    kubectl.run(cluster, "create", "namespace", NAMESPACE)
    apply(cluster, *items)
    for name in WHERE:
        become_ready(cluster, name)
    with listeners(cluster):
        yield {name: f"{address(cluster, name)}:3000" for name in WHERE}
    kubectl.run(cluster, "delete", "namespace", NAMESPACE, "--wait=false")


def apply(cluster: Sandbox, *items: dict[str, Any]) -> None:
    listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl.run(cluster, "apply", "--filename=-", standard_input=listing)


def address(cluster: Sandbox, name: str) -> str:
    return kubectl.run(cluster, "get", *of(f"pod/{name}", "--output=jsonpath={.status.podIP}"))


@contextmanager
def policy(cluster: Sandbox, app: str, **directions: list[dict[str, Any]]) -> Generator[None]:
    """What the pods of an app may do in these directions, while the block runs, and no more."""
    spec = {
        "podSelector": {"matchLabels": {"app": app}},
        "policyTypes": [direction.title() for direction in directions],
        **directions,
    }
    apply(cluster, _object("networking.k8s.io/v1", "NetworkPolicy", app, spec))
    try:
        yield
    finally:
        kubectl.run(cluster, "delete", *of(f"networkpolicy/{app}"))


def expect(cluster: Sandbox, source: str, wanted: dict[str, str]) -> None:
    """Waits until one that should be refused is, then tries them all; without one, until all are
    as wanted."""
    attempt = partial(tried, cluster, NAMESPACE, source)
    refused = next((target for target, outcome in wanted.items() if outcome == TIMED_OUT), None)
    if refused:
        until(f"{source} kept from {refused}", lambda: attempt([refused])[refused] == TIMED_OUT)
        assert attempt([*wanted]) == wanted
    else:
        until(f"{source} reaches {[*wanted]}", lambda: attempt([*wanted]) == wanted)


def test_a_pod_reaches_whom_its_policy_names_and_nobody_else(
    cluster: Sandbox, pods: dict[str, str]
) -> None:
    named = [pods["peer"], "peer:80", f"peer.{NAMESPACE}.svc.cluster.local:80"]
    others = [pods["near"], API, *OUTSIDE]
    everything = dict.fromkeys([*others, *named], OPEN)
    expect(cluster, "caller", everything)
    names = {"ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]}
    peers = {"to": [{"podSelector": {"matchLabels": {"app": "peer"}}}], "ports": [{"port": 3000}]}
    with policy(cluster, "caller", egress=[names, peers]):
        expect(cluster, "caller", everything | dict.fromkeys(others, TIMED_OUT))
        assert tried(cluster, NAMESPACE, "near", others[1:]) == dict.fromkeys(others[1:], OPEN)
    expect(cluster, "caller", everything)


def test_what_a_policy_takes_out_of_the_internet_is_refused(
    cluster: Sandbox, pods: dict[str, str]
) -> None:
    private = [*OUTSIDE, pods["near"], pods["peer"]]
    internet = f"{INTERNET}:{PORT}"
    everything = dict.fromkeys(private, OPEN)
    expect(cluster, "caller", everything)
    taken_out = ["10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
    block = {"ipBlock": {"cidr": "0.0.0.0/0", "except": taken_out}}
    with policy(cluster, "caller", egress=[{"to": [block]}]):
        expect(cluster, "caller", dict.fromkeys(private, TIMED_OUT) | {internet: OPEN})
    expect(cluster, "caller", everything)


def test_a_pod_is_reached_by_whom_its_policy_names_and_by_its_kubelet(
    cluster: Sandbox, pods: dict[str, str]
) -> None:
    """The kubelet's probes come from the node, which no policy can name."""
    assert pods
    apply(cluster, pod("late", "n2", "late"))
    kubectl.run(cluster, "wait", "--for=jsonpath={.status.phase}=Running", *of("pod/late"))
    late = f"{address(cluster, 'late')}:3000"
    for source in ("near", "caller"):
        expect(cluster, source, {late: OPEN})
    caller = {"podSelector": {"matchLabels": {"app": "caller"}}}
    with policy(cluster, "late", ingress=[{"from": [caller]}]):
        expect(cluster, "near", {late: TIMED_OUT})
        expect(cluster, "caller", {late: OPEN})
        become_ready(cluster, "late")
    expect(cluster, "near", {late: OPEN})


def test_a_killed_engine_comes_back_and_refuses_again(
    cluster: Sandbox, pods: dict[str, str]
) -> None:
    wanted = {pods["near"]: TIMED_OUT, pods["peer"]: OPEN}
    peer = {"podSelector": {"matchLabels": {"app": "peer"}}}
    with policy(cluster, "caller", egress=[{"to": [peer]}]):
        expect(cluster, "caller", wanted)
        before = engine(cluster)
        assert before.pid
        os.kill(before.pid, signal.SIGKILL)
        until("the engine back", lambda: is_another(engine(cluster), before))
        expect(cluster, "caller", wanted)


def engine(cluster: Sandbox) -> programs.ProgramStatus:
    """The engine of the caller's node."""
    name = f"n1-{node.POLICY_ENGINE}"
    return next(seen for seen in programs.read_status(cluster) if seen.name == name)


def is_another(now: programs.ProgramStatus, before: programs.ProgramStatus) -> bool:
    return now.state is State.READY and now.pid != before.pid


@pytest.mark.parametrize(
    ("may", "what"),
    [
        *(("yes", f"watch {kind}") for kind in ("pods", "namespaces", "networkpolicies")),
        *(("no", f"get {kind}") for kind in ("secrets", "configmaps", "nodes")),
        *(("no", f"{verb} pods") for verb in ("create", "patch", "delete")),
        ("no", "create pods/exec"),
        ("no", "delete networkpolicies"),
    ],
)
def test_the_engine_reads_policies_and_their_pods_and_no_more(
    cluster: Sandbox, may: str, what: str
) -> None:
    asked = ("auth", "can-i", *what.split(), "--all-namespaces", f"--as={node.POLICY_ENGINE}")
    assert kubectl.attempt(cluster, *asked).stdout.strip() == may


def test_a_kernel_that_hands_the_engine_no_packets_is_known(
    cluster: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its part is played by the right to make rules, which is taken from another engine."""
    assert node.enforces_policies(cluster, "n1")
    namespace = cluster.namespace("n1")
    monkeypatch.setattr(node, "_POLICY_ENGINE_ADDRESS", "127.0.0.1:9081")
    program = tools.find(tools.POLICY_ENGINE, node.POLICY_ENGINE)
    command = ["nsenter", f"--net={netns_path(namespace)}", "setpriv", "--bounding-set=-net_admin"]
    command += ["--pdeathsig=KILL", str(program), "--hostname-override=n1"]
    command += ["--metrics-bind-address=127.0.0.1:9081", "--nfqueue-id=101", "--fail-open"]
    kubeconfig = control_plane.keys(cluster).kubeconfig(node.POLICY_ENGINE)
    environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as powerless:
        try:
            queueing = "http://127.0.0.1:9081/queueing"
            until("it knows", lambda: probes.answers(queueing, namespace))
            assert not node.enforces_policies(cluster, "n1")
        finally:
            powerless.kill()
