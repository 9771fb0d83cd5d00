"""Pod Security `restricted`: each control refuses something, and every pod of a stack passes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from ado_infra.kit.pod_security import violations
from tests.support.recording import Recording, record_stack

ALL_JOBS = {
    "ado:migrations": {"command": ["migrate"]},
    "ado:postgres": {"backup": {"bucket": "backups"}},
}
PODS = {
    *("Deployment/ado-api-gateway", "Deployment/ado-dashboard", "Deployment/ado-orchestrator"),
    *("Deployment/ado-worker", "StatefulSet/postgresql", "StatefulSet/redis"),
    *("Job/postgresql-state-begin", "Job/redis-cluster-create", "Job/ado-migrations"),
    "CronJob/postgresql-backup",
}
"""Whatever makes pods, Jobs without their digests."""


def _templates(stack: Recording) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for each in stack.objects:
        spec = each.manifest.get("spec") or {}
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template:
            kind, name = each.key
            found[f"{kind}/{name.rpartition('-')[0] if kind == 'Job' else name}"] = template
    return found


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_pod_of_a_stack_passes_every_control(stack: str) -> None:
    templates = _templates(record_stack(stack, changes=ALL_JOBS))
    assert templates.keys() == PODS
    for name, template in templates.items():
        annotations = template["metadata"].get("annotations") or {}
        assert list(violations(template["spec"], annotations)) == [], name


GOOD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    **{
        kind: [
            {
                "name": name,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ]
        for kind, name in (
            ("initContainers", "first"),
            ("containers", "main"),
            ("ephemeralContainers", "debugger"),
        )
    },
}
KINDS = ("initContainers", "containers", "ephemeralContainers")
POD, CONTAINER = "pod's context", "container's context"
UNCONFINED = {"type": "Unconfined"}
CONTROLS: dict[str, list[tuple[str, Any, str]]] = {
    "HostProcess": [
        (POD, {"windowsOptions": {"hostProcess": True}}, "remove windowsOptions"),
        (CONTAINER, {"windowsOptions": {"hostProcess": True}}, "remove windowsOptions"),
    ],
    "Host Namespaces": [
        ("pod", {key: True}, f"remove {key}") for key in ("hostNetwork", "hostPID", "hostIPC")
    ],
    "Privileged Containers": [(CONTAINER, {"privileged": True}, "remove privileged")],
    "Capabilities": [
        (CONTAINER, {"capabilities": {}}, "set capabilities.drop"),
        (CONTAINER, {"capabilities": {"drop": ["NET_RAW"]}}, "set capabilities.drop"),
        (
            CONTAINER,
            {"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}},
            "remove capabilities.add",
        ),
    ],
    "Volume Types": [
        ("pod", {"volumes": [{"name": "v", kind: {}}]}, f"volume v is a {kind}")
        for kind in ("hostPath", "nfs", "gcePersistentDisk", "iscsi")
    ],
    "Host Ports": [("container", {"ports": [{"hostPort": 80}]}, "remove hostPort")],
    "Host Probes / Lifecycle Hooks": [
        *(
            ("container", {probe: {kind: {"host": "10.0.0.1"}}}, "remove host from its probes")
            for probe in ("livenessProbe", "readinessProbe", "startupProbe")
            for kind in ("httpGet", "tcpSocket")
        ),
        *(
            ("container", {"lifecycle": {hook: {kind: {"host": "x"}}}}, "remove host from")
            for hook in ("postStart", "preStop")
            for kind in ("httpGet", "tcpSocket")
        ),
    ],
    "AppArmor": [
        (POD, {"appArmorProfile": UNCONFINED}, "set appArmorProfile"),
        (CONTAINER, {"appArmorProfile": UNCONFINED}, "set appArmorProfile"),
        (
            "annotations",
            {"container.apparmor.security.beta.kubernetes.io/main": "unconfined"},
            "is unconfined; remove it",
        ),
    ],
    "SELinux": [
        (where, {"seLinuxOptions": options}, "remove seLinuxOptions")
        for where in (POD, CONTAINER)
        for options in ({"type": "spc_t"}, {"user": "system_u"}, {"role": "system_r"})
    ],
    "/proc Mount Type": [(CONTAINER, {"procMount": "Unmasked"}, "remove procMount")],
    "Sysctls": [(POD, {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}, "kernel.msgmax")],
    "Privilege Escalation": [
        (CONTAINER, {"allowPrivilegeEscalation": value}, "set allowPrivilegeEscalation")
        for value in (True, None)
    ],
    "Running as Non-root": [
        (POD, {"runAsNonRoot": None}, "set runAsNonRoot"),
        (CONTAINER, {"runAsNonRoot": False}, "set runAsNonRoot"),
    ],
    "Running as Non-root user": [
        (POD, {"runAsUser": 0}, "its pod runs as root; set runAsUser"),
        (CONTAINER, {"runAsUser": 0}, "a runAsUser other than 0"),
    ],
    "Seccomp": [
        (POD, {"seccompProfile": None}, "set seccompProfile"),
        (POD, {"seccompProfile": UNCONFINED}, "set seccompProfile"),
        (CONTAINER, {"seccompProfile": UNCONFINED}, "set seccompProfile"),
    ],
}
"""Each control of the standard → fields that break it, and what is said."""
ALLOWED: list[tuple[str, Any]] = [
    ("pod", {"hostNetwork": False, "hostUsers": False}),
    ("pod", {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "ephemeral": {}}]}),
    ("container", {"ports": [{"containerPort": 80, "hostPort": 0}]}),
    ("container", {"livenessProbe": {"httpGet": {"path": "/", "port": 1}}}),
    ("container", {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}),
    (POD, {"appArmorProfile": {"type": "Localhost"}, "seLinuxOptions": {"type": "container_t"}}),
    (POD, {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]}),
    (POD, {"runAsUser": 1, "windowsOptions": {}}),
    (CONTAINER, {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}),
    (CONTAINER, {"procMount": "Default", "privileged": False, "seccompProfile": None}),
    ("annotations", {"container.apparmor.security.beta.kubernetes.io/main": "runtime/default"}),
    ("annotations", {"example.com/profile": "unconfined"}),
]


def _found(where: str, fields: Any, kind: str = "containers") -> list[str]:
    pod, annotations = deepcopy(GOOD), {}
    container = pod[kind][0]
    places = {
        "pod": pod,
        POD: pod["securityContext"],
        "container": container,
        CONTAINER: container["securityContext"],
        "annotations": annotations,
    }
    places[where].update(fields)
    return list(violations(pod, annotations))


@pytest.mark.parametrize(
    ("where", "fields", "said"),
    [pytest.param(*row, id=name) for name, rows in CONTROLS.items() for row in rows],
)
def test_every_control_refuses_what_breaks_it_in_each_container(
    where: str, fields: Any, said: str
) -> None:
    for kind in KINDS:
        found = _found(where, fields, kind)
        assert found
        assert all(said in each for each in found), found


@pytest.mark.parametrize(("where", "fields"), ALLOWED)
def test_what_the_standard_allows_is_allowed(where: str, fields: Any) -> None:
    for kind in KINDS:
        assert _found(where, fields, kind) == []
