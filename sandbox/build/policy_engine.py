"""The source of kube-network-policies, made ready for the nodes of a sandbox.

Three things differ from its module. It reads a kubeconfig, as every program beside it does, where
the module takes the token of a pod. Its rules use iptables' target NFQUEUE where the kernel lacks
nftables' statement. And the client of the container runtime's NRI is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.files import write

MODULE = "sigs.k8s.io/kube-network-policies"
OVERLAY = Path(__file__).parent / "go" / "policy-engine"
_REPLACED: Mapping[str, Mapping[str, str]] = {
    "cmd/main.go": {
        '"k8s.io/client-go/rest"': '"k8s.io/client-go/tools/clientcmd"',
        "rest.InClusterConfig()": 'clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))',
    },
    "pkg/networkpolicy/controller.go": {
        "&expr.Queue{Num: uint16(c.config.QueueID)}": "queueStatement(c.config)",
        "\t\tqueue.Flag = expr.QueueFlagBypass\n": "",
    },
}


def changes() -> bytes:
    """All that `copied` makes different."""
    made = (Path(__file__), *sorted(OVERLAY.iterdir()))
    return b"".join(path.read_bytes() for path in made)


def copied(source: Path, room: Path) -> Mapping[str, Path]:
    """Lay the engine out in an empty directory; module path → its directory there.

    Raises SandboxError when the module is not what this was written for.
    """
    for path in (source / "go.mod", *source.rglob("*.go")):
        name = path.relative_to(source).as_posix()
        text = path.read_text()
        for before, after in _REPLACED.get(name, {}).items():
            if before not in text:
                raise SandboxError(f"{MODULE}: {name} is not as {__name__} expects it.")
            text = text.replace(before, after)
        write(room / name, text)
    for path in OVERLAY.iterdir():
        write(room / "pkg" / "networkpolicy" / path.name, path.read_bytes())
    return {MODULE: room}
