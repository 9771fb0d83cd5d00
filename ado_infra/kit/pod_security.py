"""Pod Security `restricted`, judged control by control, as the API server's admission does.

Rules: kubernetes.io, "Pod Security Standards", those for Linux and of the baseline too. The API
server's own look reaches a pod when it is made, of a Job long after `up` has ended; this one reads
the template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

_VOLUMES: Final = frozenset(
    {
        *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
        *("persistentVolumeClaim", "projected", "secret"),
    }
)
_HOST: Final = ("hostNetwork", "hostPID", "hostIPC")
_SYSCTLS: Final = frozenset(
    {
        *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range"),
        *("net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies"),
        *("net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports"),
        *("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout"),
        *("net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes"),
        *("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
    }
)
_SELINUX_TYPES: Final = frozenset(
    {
        *("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"),
    }
)
_CONFINED: Final = frozenset({"RuntimeDefault", "Localhost"})
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS: Final = ("postStart", "preStop")
_APPARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"

Spec: TypeAlias = Mapping[str, Any]


def containers(pod: Spec) -> list[Spec]:
    """Every container of a pod's spec, in the order in which they start."""
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return [container for kind in kinds for container in pod.get(kind) or ()]


def violations(pod: Spec, annotations: Mapping[str, str]) -> Iterator[str]:
    """What of a pod's spec `restricted` refuses, each with what to do.

    `annotations`: those of the pod, by which AppArmor was set once.
    """
    context: Spec = pod.get("securityContext") or {}
    yield from (f"it shares {key} with its host; remove {key}" for key in _HOST if pod.get(key))
    for volume in pod.get("volumes") or ():
        if kinds := set(volume) - {"name"} - _VOLUMES:
            yield f"volume {volume['name']} is a {min(kinds)}; take an emptyDir or a claim"
    for sysctl in context.get("sysctls") or ():
        if sysctl["name"] not in _SYSCTLS:
            yield f"it sets the sysctl {sysctl['name']}; remove it"
    for key, profile in annotations.items():
        if key.startswith(_APPARMOR) and profile.partition("/")[0] not in {
            *("runtime", "localhost"),
        }:
            yield f"annotation {key} is {profile}; remove it"
    # What a pod says holds for containers that are added to it later, too.
    yield from (f"its pod {problem}" for problem in _confinement(context))
    if context.get("runAsUser") == 0:
        yield "its pod runs as root; set runAsUser to another uid, or leave it out"
    for container in containers(pod):
        own: Spec = container.get("securityContext") or {}
        problems = (*_confinement(own), *_privileges(own, context), *_of_host(container))
        yield from (f"{container['name']} {problem}" for problem in problems)


def _confinement(context: Spec) -> Iterator[str]:
    """What a pod or a container may say alike, and loosens what holds it."""
    seccomp, apparmor = (context.get(key) or {} for key in ("seccompProfile", "appArmorProfile"))
    selinux, windows = (context.get(key) or {} for key in ("seLinuxOptions", "windowsOptions"))
    if seccomp and seccomp.get("type") not in _CONFINED:
        yield f"has seccomp profile {seccomp.get('type')}; set seccompProfile to RuntimeDefault"
    if apparmor and apparmor.get("type") not in _CONFINED:
        yield f"has AppArmor profile {apparmor.get('type')}; set appArmorProfile to RuntimeDefault"
    if selinux.get("type", "") not in _SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield "chooses its SELinux type, user or role; remove seLinuxOptions"
    if windows.get("hostProcess"):
        yield "is a process of its host; remove windowsOptions"


def _privileges(own: Spec, of_pod: Spec) -> Iterator[str]:
    """What a container may do; `of_pod`: what holds where the container says nothing itself."""
    said = {**of_pod, **{key: value for key, value in own.items() if value is not None}}
    capabilities: Spec = own.get("capabilities") or {}
    if said.get("runAsNonRoot") is not True or own.get("runAsUser") == 0:
        yield "may run as root; set runAsNonRoot, and a runAsUser other than 0"
    if own.get("privileged"):
        yield "is privileged; remove privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges; set allowPrivilegeEscalation to false"
    if "ALL" not in (capabilities.get("drop") or ()):
        yield "keeps capabilities; set capabilities.drop to [ALL]"
    if set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
        yield "adds capabilities; remove capabilities.add"
    if not said.get("seccompProfile"):
        yield "has no seccomp profile; set seccompProfile to RuntimeDefault"
    if own.get("procMount") not in {None, "Default"}:
        yield f"has /proc {own['procMount']}; remove procMount"


def _of_host(container: Spec) -> Iterator[str]:
    """What of its host's a container takes, or has the kubelet ask."""
    if any(port.get("hostPort") for port in container.get("ports") or ()):
        yield "takes a port of its host; remove hostPort"
    lifecycle: Spec = container.get("lifecycle") or {}
    asked = [container.get(probe) for probe in _PROBES] + [lifecycle.get(hook) for hook in _HOOKS]
    for handler in filter(None, asked):
        if any((handler.get(kind) or {}).get("host") for kind in ("httpGet", "tcpSocket")):
            yield "has the kubelet ask another host; remove host from its probes and hooks"
