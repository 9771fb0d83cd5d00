"""Where a sandbox keeps things, and what belongs to it by name."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError

CHECKOUT = Path(__file__).parents[1]  # whose program is deployed; no sandbox owns anything there
STATE_ROOT = Path("/var/lib/ado-sandbox")
RUNTIME_ROOT = Path("/run/ado-sandbox")
NETNS_ROOT = Path("/run/netns")  # where iproute2 keeps named network namespaces
MAKE_TARGETS = ("up", "preview", "status", "picture", "destroy", "down")
"""Commands that `make` has for the default sandbox."""


def cache_dir() -> Path:
    """Built programs and images, shared by every checkout of this user; it need not be there."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ado-sandbox"


@dataclass(frozen=True)
class Sandbox:
    """One embedded cluster, known by its name; nothing here touches the machine.

    Raises SandboxError when the name is no short DNS label: it becomes part of the names of
    directories, network namespaces and UNIX sockets, whose length is limited.
    """

    name: str = "default"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?", self.name):
            raise SandboxError(
                f"{self.name!r} cannot name a sandbox: use at most 20 lower-case letters, digits "
                "and dashes, starting with a letter and not ending with a dash."
            )

    def command(self, words: str, *, stack: str = "", project: Path = CHECKOUT) -> str:
        """What the user types for a command to act on this sandbox, and on this stack in it.

        Messages that advise a command take it from here: typed as it stands, it must not reach
        another sandbox, stack or checkout.
        """
        other_project = "" if project.resolve() == CHECKOUT.resolve() else str(project.resolve())
        if self.name == "default" and not other_project and words in MAKE_TARGETS:
            return f"make {words} STACK={stack}" if stack else f"make {words}"
        name = "" if self.name == "default" else self.name
        options = {"--stack": stack, "--project": other_project, "--name": name}
        given = [f"{option} {shlex.quote(value)}" for option, value in options.items() if value]
        return " ".join([".venv/bin/python -m sandbox", words, *given])

    @property
    def state(self) -> Path:
        """What a restarted sandbox needs: etcd's data, volumes, images, keys, logs."""
        return STATE_ROOT / self.name

    @property
    def runtime(self) -> Path:
        """What is worth nothing after a reboot: sockets, process ids, leases of addresses."""
        return RUNTIME_ROOT / self.name

    @property
    def logs(self) -> Path:
        """One file per program."""
        return self.state / "logs"

    @property
    def volumes(self) -> Path:
        """One directory per PersistentVolume."""
        return self.state / "volumes"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's way in, from this machine's loopback; mode 0600."""
        return self.state / "kubeconfig"

    @property
    def pulumi(self) -> Path:
        """For what deploys to the sandbox: engine home, state and copies of stack files."""
        return self.state / "pulumi"

    @property
    def cgroup(self) -> str:
        """Every process of the sandbox lives below this control group, in every hierarchy."""
        return f"ado-sandbox/{self.name}"

    @property
    def context(self) -> str:
        """The name of the context in `kubeconfig`."""
        return f"ado-sandbox-{self.name}"

    @property
    def fabric(self) -> str:
        """The network namespace of the control plane and of the bridge between the nodes."""
        return f"ado-{self.name}-fabric"

    def namespace(self, node: str) -> str:
        """The network namespace of a node."""
        return f"ado-{self.name}-{node}"

    def owns_namespace(self, namespace: str) -> bool:
        """Whether a named network namespace is this sandbox's."""
        return re.fullmatch(rf"ado-{re.escape(self.name)}-(fabric|n\d+)", namespace) is not None

    def containerd_socket(self, node: str) -> Path:
        """Where a node's containerd answers."""
        return self.runtime / node / "containerd.sock"


@dataclass(frozen=True)
class Called:
    """What a command was called with."""

    sandbox: Sandbox
    stack: str
    project: Path = CHECKOUT

    def command(self, words: str) -> str:
        """What the user types for another command to act on the same."""
        return self.sandbox.command(words, stack=self.stack, project=self.project)


def netns_path(namespace: str) -> Path:
    """The file that stands for a named network namespace."""
    return NETNS_ROOT / namespace
