"""etcd and the Kubernetes control plane, in the fabric's network namespace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.cluster import pki
from sandbox.cluster.pki import Identity
from sandbox.files import write
from sandbox.host.network import FABRIC_ADDRESS, SERVICE_NETWORK
from sandbox.host.programs import Program
from sandbox.paths import Sandbox

API_PORT = 6443
API_URL = f"https://{FABRIC_ADDRESS}:{API_PORT}"
API_SERVICE_ADDRESS = "10.96.0.1"  # the first of the service network, by Kubernetes' own rule
CGROUP = "control-plane"
MASTERS = "system:masters"  # the group that may do everything


@dataclass(frozen=True)
class Keys:
    """The cluster's keys and certificates."""

    directory: Path
    authority: Identity
    front_proxy_authority: Identity

    def identity(
        self, user: str, *, groups: tuple[str, ...] = (), hosts: tuple[str, ...] = ()
    ) -> Identity:
        """The identity of a user or server, made when it is missing."""
        return pki.ensure_identity(
            self.directory / user.replace(":", "-"),
            self.authority,
            user,
            groups=groups,
            hosts=hosts,
        )

    def kubeconfig(self, user: str, *, groups: tuple[str, ...] = ()) -> Path:
        """How a program inside the sandbox reaches the API server as this user."""
        identity = self.identity(user, groups=groups)
        path = identity.directory / "kubeconfig"
        pki.write_kubeconfig(
            path, server=API_URL, authority=self.authority, user=identity, context="sandbox"
        )
        return path


def keys(sandbox: Sandbox) -> Keys:
    """The cluster's keys, made when they are missing."""
    directory = sandbox.state / "pki"
    directory.mkdir(parents=True, exist_ok=True)
    return Keys(
        directory,
        pki.ensure_authority(directory / "ca", "ado-sandbox-ca"),
        # Its own authority: who it vouches for may claim to be any user.
        pki.ensure_authority(directory / "front-proxy-ca", "ado-sandbox-front-proxy-ca"),
    )


def write_admin_kubeconfig(sandbox: Sandbox, port: int) -> None:
    """Write the administrator's kubeconfig, through the loopback link on this port."""
    own = keys(sandbox)
    pki.write_kubeconfig(
        sandbox.kubeconfig,
        server=f"https://127.0.0.1:{port}",
        authority=own.authority,
        user=own.identity("admin", groups=(MASTERS,)),
        context=sandbox.context,
    )


def programs(sandbox: Sandbox, tools: Mapping[str, Path]) -> list[Program]:
    """etcd, API server, controller manager and scheduler; writes their files."""
    own = keys(sandbox)
    authority = str(own.authority.certificate)
    service_accounts = own.identity("service-accounts")
    manager = own.kubeconfig("system:kube-controller-manager")
    scheduler = own.kubeconfig("system:kube-scheduler")
    return [
        _program(
            sandbox,
            "etcd",
            _command(
                tools["etcd"],
                data_dir=sandbox.state / "etcd",
                listen_client_urls="http://127.0.0.1:2379",
                advertise_client_urls="http://127.0.0.1:2379",
                listen_peer_urls="http://127.0.0.1:2380",
                # What it wrote survives its own death, though not the machine's.
                unsafe_no_fsync="true",
            ),
            ready="http://127.0.0.1:2379/health",
        ),
        _program(
            sandbox,
            "kube-apiserver",
            _command(tools["kube-apiserver"], **_api_server_flags(sandbox, own)),
            ready=f"{API_URL}/readyz",
            after=("etcd",),
        ),
        _program(
            sandbox,
            "kube-controller-manager",
            _command(
                tools["kube-controller-manager"],
                kubeconfig=manager,
                authentication_kubeconfig=manager,
                authorization_kubeconfig=manager,
                bind_address="127.0.0.1",
                root_ca_file=authority,
                service_account_private_key_file=service_accounts.key,
                use_service_account_credentials="true",
                leader_elect="false",
                # Autoscaling should be seen within a coffee, not a lunch; upstream has 15 s.
                horizontal_pod_autoscaler_sync_period="5s",
            ),
            ready="https://127.0.0.1:10257/healthz",
            after=("kube-apiserver",),
        ),
        _program(
            sandbox,
            "kube-scheduler",
            _command(
                tools["kube-scheduler"],
                kubeconfig=scheduler,
                authentication_kubeconfig=scheduler,
                authorization_kubeconfig=scheduler,
                bind_address="127.0.0.1",
                leader_elect="false",
            ),
            ready="https://127.0.0.1:10259/healthz",
            after=("kube-apiserver",),
        ),
    ]


def _api_server_flags(sandbox: Sandbox, own: Keys) -> dict[str, object]:
    serving = own.identity(
        "kube-apiserver",
        hosts=(
            "127.0.0.1",
            "localhost",
            FABRIC_ADDRESS,
            API_SERVICE_ADDRESS,
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ),
    )
    service_accounts = own.identity("service-accounts")
    kubelet_client = own.identity("kube-apiserver-kubelet-client", groups=(MASTERS,))
    front_proxy = pki.ensure_identity(
        own.directory / "front-proxy", own.front_proxy_authority, "front-proxy"
    )
    return {
        "etcd_servers": "http://127.0.0.1:2379",
        "bind_address": FABRIC_ADDRESS,
        "advertise_address": FABRIC_ADDRESS,
        "secure_port": API_PORT,
        "service_cluster_ip_range": SERVICE_NETWORK,
        "allow_privileged": "true",
        "tls_cert_file": serving.certificate,
        "tls_private_key_file": serving.key,
        "client_ca_file": own.authority.certificate,
        "authorization_mode": "Node,RBAC",
        "enable_admission_plugins": "NodeRestriction",
        "admission_control_config_file": _admission(sandbox),
        "service_account_issuer": "https://kubernetes.default.svc.cluster.local",
        "service_account_key_file": service_accounts.public_key,
        "service_account_signing_key_file": service_accounts.key,
        "kubelet_certificate_authority": own.authority.certificate,
        "kubelet_client_certificate": kubelet_client.certificate,
        "kubelet_client_key": kubelet_client.key,
        # exec and logs must not look the node's name up
        "kubelet_preferred_address_types": "InternalIP",
        # Extension API servers stand beside the control plane, behind hand-made EndpointSlices.
        "enable_aggregator_routing": "true",
        "requestheader_client_ca_file": own.front_proxy_authority.certificate,
        "requestheader_allowed_names": "front-proxy",
        "requestheader_username_headers": "X-Remote-User",
        "requestheader_group_headers": "X-Remote-Group",
        "requestheader_extra_headers_prefix": "X-Remote-Extra-",
        "proxy_client_cert_file": front_proxy.certificate,
        "proxy_client_key_file": front_proxy.key,
    }


def _admission(sandbox: Sandbox) -> Path:
    """Pod Security warns about what `restricted` forbids, also in namespaces without labels."""
    levels = {"enforce": "privileged", "audit": "privileged", "warn": "restricted"}
    configuration = {
        "apiVersion": "pod-security.admission.config.k8s.io/v1",
        "kind": "PodSecurityConfiguration",
        "defaults": levels | {f"{mode}-version": "latest" for mode in levels},
        "exemptions": {"usernames": [], "runtimeClasses": [], "namespaces": ["kube-system"]},
    }
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{"name": "PodSecurity", "configuration": configuration}],
    }
    path = sandbox.state / "admission.json"
    write(path, json.dumps(document))
    return path


def _program(
    sandbox: Sandbox,
    name: str,
    command: tuple[str, ...],
    *,
    ready: str,
    after: tuple[str, ...] = (),
) -> Program:
    return Program(name, command, CGROUP, sandbox.fabric, ready, after)


def _command(program: Path, **flags: object) -> tuple[str, ...]:
    return (
        str(program),
        *(f"--{name.replace('_', '-')}={value}" for name, value in flags.items()),
    )
