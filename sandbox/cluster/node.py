"""A node: containerd, kubelet and what else runs there, in a network namespace of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from sandbox.build import images
from sandbox.build.packages import CNI_PLUGINS
from sandbox.cluster import dns
from sandbox.cluster.control_plane import Keys
from sandbox.files import write
from sandbox.host import cgroups, probes
from sandbox.host.network import DNS_ADDRESS, POD_NETWORK, node_address, pod_subnet
from sandbox.host.programs import Program, digest
from sandbox.paths import Sandbox

POLICY_ENGINE = "kube-network-policies"
"""A program of every node, and the user that it is to the API server."""
_POLICY_ENGINE_ADDRESS = "127.0.0.1:9080"


def names(count: int) -> list[str]:
    """The nodes of a sandbox of this size."""
    return [f"n{number}" for number in range(1, count + 1)]


def cgroup(sandbox: Sandbox, node: str) -> str:
    """Everything of a node, its pods too."""
    return f"{sandbox.cgroup}/{node}"


def directory(sandbox: Sandbox, node: str) -> Path:
    """What the node keeps: its images, its kubelet's state, its configuration."""
    return sandbox.state / "nodes" / node


def runtime_program(sandbox: Sandbox, node: str) -> Program:
    """The node's containerd; writes its configuration."""
    socket = sandbox.containerd_socket(node)
    configuration = directory(sandbox, node) / "containerd.toml"
    settings, pod_network = _containerd_configuration(sandbox, node), _pod_network(sandbox, node)
    write(configuration, settings)
    write(directory(sandbox, node) / "cni" / "10-pods.conflist", pod_network)
    return Program(
        name=f"{node}-containerd",
        command=("containerd", "--config", str(configuration)),
        cgroup=f"{node}/daemons",
        namespace=sandbox.namespace(node),
        ready=f"unix://{socket}",
        configuration=digest(settings, pod_network),
    )


def programs(sandbox: Sandbox, node: str, keys: Keys, tools: Mapping[str, Path]) -> list[Program]:
    """The node's kubelet, kube-proxy, policy engine and DNS; writes their configuration."""
    base = directory(sandbox, node)
    user = f"system:node:{node}"
    kubeconfig = keys.kubeconfig(user, groups=("system:nodes",))
    serving = keys.identity(f"{node}-kubelet", hosts=(node_address(node), node))
    kubelet = base / "kubelet.json"
    authority = keys.authority.certificate
    kubelet_settings = json.dumps(_kubelet_configuration(sandbox, node), indent=1)
    write(kubelet, kubelet_settings)
    proxy = base / "kube-proxy.json"
    proxy_kubeconfig = keys.kubeconfig("system:kube-proxy")
    proxy_settings = json.dumps(_proxy_configuration(node, proxy_kubeconfig), indent=1)
    write(proxy, proxy_settings)
    return [
        Program(
            name=f"{node}-kubelet",
            command=(
                str(tools["kubelet"]),
                f"--config={kubelet}",
                f"--kubeconfig={kubeconfig}",
                f"--root-dir={base / 'kubelet'}",
                f"--cert-dir={base / 'kubelet' / 'pki'}",
                f"--hostname-override={node}",
                f"--node-ip={node_address(node)}",
                f"--client-ca-file={authority}",
                f"--tls-cert-file={serving.certificate}",
                f"--tls-private-key-file={serving.key}",
            ),
            cgroup=f"{node}/daemons",
            namespace=sandbox.namespace(node),
            ready="http://127.0.0.1:10248/healthz",
            after=("kube-apiserver", f"{node}-containerd"),
            configuration=digest(kubelet_settings),
        ),
        Program(
            name=f"{node}-kube-proxy",
            command=(str(tools["kube-proxy"]), f"--config={proxy}"),
            cgroup=f"{node}/daemons",
            namespace=sandbox.namespace(node),
            ready="http://127.0.0.1:10256/livez",
            after=("kube-apiserver",),
            configuration=digest(proxy_settings),
        ),
        Program(
            name=f"{node}-{POLICY_ENGINE}",
            command=(
                str(tools[POLICY_ENGINE]),
                f"--hostname-override={node}",
                f"--metrics-bind-address={_POLICY_ENGINE_ADDRESS}",
                # Pods go on while it is away, as without the rest of what the supervisor keeps.
                "--fail-open",
            ),
            cgroup=f"{node}/daemons",
            namespace=sandbox.namespace(node),
            ready=f"http://{_POLICY_ENGINE_ADDRESS}/queueing",
            after=("kube-apiserver",),
            environment={"KUBECONFIG": str(keys.kubeconfig(POLICY_ENGINE))},
        ),
        dns.program(sandbox, node, keys, tools),
    ]


def enforces_policies(sandbox: Sandbox, node: str) -> bool:
    """Whether NetworkPolicies hold on a node whose policy engine is ready.

    They do not where the kernel can hand it no packets.
    """
    queueing = f"http://{_POLICY_ENGINE_ADDRESS}/queueing"
    return probes.text(queueing, sandbox.namespace(node)) in {"statement", "target"}


def prepare(sandbox: Sandbox, node: str, *, network_is_new: bool) -> None:
    """Make the node's control groups and directories.

    Pods of an earlier life cannot be used in a new network: they are ended, and the leases of
    their addresses with them.
    """
    if network_is_new:
        cgroups.kill(cgroup(sandbox, node))
        remove_shim_sockets(sandbox, node)
        shutil.rmtree(_leases(sandbox, node), ignore_errors=True)
    cgroups.create(f"{cgroup(sandbox, node)}/daemons")
    (sandbox.runtime / node).mkdir(parents=True, exist_ok=True)
    directory(sandbox, node).mkdir(parents=True, exist_ok=True)


def remove_shim_sockets(sandbox: Sandbox, node: str = "*") -> None:
    """Remove what the shims of a node, or of all, left when all its processes were ended.

    Their sockets are in a directory that every containerd of a machine shares.
    """
    bundles = f"{node}/containerd/io.containerd.runtime.v2.task/*/*"
    for address in sandbox.runtime.glob(f"{bundles}/address"):
        Path(address.read_text().strip().removeprefix("unix://")).unlink(missing_ok=True)


def _containerd_configuration(sandbox: Sandbox, node: str) -> str:
    base, runtime = directory(sandbox, node), sandbox.runtime / node
    return f"""version = 2
root = "{base / "containerd"}"
state = "{runtime / "containerd"}"
# no image is ever pulled, none is kept outside overlayfs, nothing is installed below /opt
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{sandbox.containerd_socket(node)}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{images.PAUSE}"
  stream_server_address = "127.0.0.1"
  # without CAP_SYS_RESOURCE nobody may lower it, and every pod would fail
  restrict_oom_score_adj = true
  # below our own directory the pods' namespaces cannot be taken for another sandbox's
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{base / "cni"}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{runtime / "runc"}"
"""


def _pod_network(sandbox: Sandbox, node: str) -> str:
    """A point-to-point link per pod, not a bridge.

    So every packet, also between two pods of one node, passes the node's own routing and with
    it kube-proxy's translation, whatever bridge filters the kernel has.
    """
    plugin = {
        "type": "ptp",
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "dataDir": str(_leases(sandbox, node)),
            "ranges": [[{"subnet": pod_subnet(node)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [plugin]})


def _leases(sandbox: Sandbox, node: str) -> Path:
    return sandbox.runtime / node / "addresses"


def _kubelet_configuration(sandbox: Sandbox, node: str) -> dict[str, object]:
    base = directory(sandbox, node)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{sandbox.containerd_socket(node)}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup(sandbox, node)}",
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": dns.DOMAIN,
        "resolvConf": "/dev/null",  # there is nothing outside to ask
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}},
        "authorization": {"mode": "Webhook"},
        "podLogsDir": str(base / "pod-logs"),
        "volumePluginDir": str(base / "volume-plugins"),
        "serializeImagePulls": False,
        # Images are imported by hand and cannot be pulled again: none may be collected.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
        },
        # Upstream waits up to five minutes; here faults are made on purpose and watched.
        "crashLoopBackOff": {"maxContainerRestartPeriod": "5s"},
    }


def _proxy_configuration(node: str, kubeconfig: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "mode": "nftables",
        "nftables": {"minSyncPeriod": "100ms"},  # Services follow their pods at once, not in 1 s
        # Senders outside it, the loopback links for one, are masqueraded: answers find back.
        "clusterCIDR": POD_NETWORK,
        "hostnameOverride": node,
        "oomScoreAdj": 0,
        # connection tracking limits are the machine's, not a namespace's
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
