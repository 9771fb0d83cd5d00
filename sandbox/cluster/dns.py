"""CoreDNS on each node, at the address that NodeLocal DNS has on other clusters.

Pods ask their own node, so no NetworkPolicy has to know where the sandbox's DNS is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sandbox.cluster.control_plane import MASTERS, Keys
from sandbox.files import write
from sandbox.host.network import DNS_ADDRESS
from sandbox.host.programs import Program, digest
from sandbox.paths import Sandbox

DOMAIN: Final = "cluster.local"
_READY: Final = f"{DNS_ADDRESS}:8181"


def program(sandbox: Sandbox, node: str, keys: Keys, tools: Mapping[str, Path]) -> Program:
    """The node's CoreDNS; writes its configuration, which all nodes share."""
    corefile = sandbox.state / "Corefile"
    zones = _corefile(keys.kubeconfig("sandbox-addons", groups=(MASTERS,)))
    write(corefile, zones)
    return Program(
        name=f"{node}-coredns",
        command=(str(tools["coredns"]), "-conf", str(corefile)),
        cgroup=f"{node}/daemons",
        namespace=sandbox.namespace(node),
        ready=f"http://{_READY}/ready",
        after=("kube-apiserver",),
        configuration=digest(zones),
    )


def _corefile(kubeconfig: Path) -> str:
    return f"""{DOMAIN}:53 in-addr.arpa:53 {{
  bind {DNS_ADDRESS}
  kubernetes {DOMAIN} in-addr.arpa {{
    kubeconfig {kubeconfig}
    ttl 5
  }}
  ready {_READY}
  errors
}}
# Nothing is outside: say at once that there is no such name.
.:53 {{
  bind {DNS_ADDRESS}
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""
