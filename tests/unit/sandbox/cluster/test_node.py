"""The programs of a node."""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sandbox.cluster import control_plane, node
from sandbox.host import network
from sandbox.paths import Sandbox


def test_the_policy_engine_has_its_own_kubeconfig_and_its_nodes_name(sandbox: Sandbox) -> None:
    keys = control_plane.keys(sandbox)
    binaries = defaultdict(lambda: Path("/x"))
    (engine,) = (
        program
        for program in node.programs(sandbox, "n2", keys, binaries)
        if program.name == f"n2-{node.POLICY_ENGINE}"
    )
    assert "--hostname-override=n2" in engine.command
    assert engine.namespace == sandbox.namespace("n2")
    assert engine.environment == {"KUBECONFIG": str(keys.kubeconfig(node.POLICY_ENGINE))}


@pytest.mark.parametrize(
    ("way", "enforces"), [("statement", True), ("target", True), ("none", False)]
)
def test_a_node_enforces_policies_where_its_engine_gets_packets(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    enforces: bool,  # noqa: FBT001
) -> None:
    class Engine(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(way.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    monkeypatch.setattr(network, "inside", lambda _: nullcontext())
    with HTTPServer(("127.0.0.1", 0), Engine) as server:
        monkeypatch.setattr(node, "_POLICY_ENGINE_ADDRESS", f"127.0.0.1:{server.server_port}")
        answering = threading.Thread(target=server.handle_request)
        answering.start()
        assert node.enforces_policies(sandbox, "n1") is enforces
        answering.join()
    assert not node.enforces_policies(sandbox, "n1")
