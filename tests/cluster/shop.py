"""An application that exists, for what `examples/` puts beside it: its namespace, its own stores.

Made with kubectl, from the sandbox's own images, and not by Pulumi: nothing in it is ours.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from ado_infra.kit.pods import NAMESPACE_LABELS
from sandbox.cluster import kubectl
from sandbox.paths import Sandbox

NAMESPACE: Final = "shop"
ORCHESTRATOR: Final = "ado/orchestrator:1.4.2"
POSTGRES: Final = "docker.io/library/postgres:17.12-trixie"
REDIS: Final = "docker.io/library/redis:8.0.5-bookworm"
DATABASE_URL: Final = f"postgresql://ado:any@shop-database.{NAMESPACE}:5432/postgres"
"""It trusts whoever comes; how a password is checked is no matter of the examples."""
REDIS_URL: Final = f"redis://shop-redis.{NAMESPACE}:6379/0"

_START_POSTGRES: Final = (
    "initdb --pgdata /data/db --username ado --auth trust --set huge_pages=off >/data/log",
    "echo 'host all all all trust' >>/data/db/pg_hba.conf",
    "exec postgres -D /data/db -c listen_addresses='*' -c unix_socket_directories=/data",
)
_REDIS: Final = ["redis-server", "--protected-mode", "no", "--save", "", "--dir", "/data"]


@contextmanager
def open_in(sandbox: Sandbox) -> Generator[None]:
    """The application, while the block runs; its namespace goes with all that is left in it."""
    listed = {"apiVersion": "v1", "kind": "List", "items": _objects()}
    try:
        kubectl.run(sandbox, "apply", "-f", "-", standard_input=json.dumps(listed))
        ready = ("wait", "deployment", "--all", "--for=condition=Available", "--timeout=120s")
        kubectl.run(sandbox, *ready, "-n", NAMESPACE)
        yield
    finally:
        kubectl.run(sandbox, "delete", "namespace", NAMESPACE, "--ignore-not-found")


def _objects() -> list[dict[str, Any]]:
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": NAMESPACE_LABELS},
    }
    return [
        namespace,
        *_server("orchestrator", ORCHESTRATOR, 3000, None, user=10001),
        *_server("shop-redis", REDIS, 6379, _REDIS),
        *_server("shop-database", POSTGRES, 5432, ["sh", "-c", " && ".join(_START_POSTGRES)]),
        _secret("shop-redis", REDIS_URL),
        _secret("shop-database", DATABASE_URL),
    ]


def _server(
    name: str, image: str, port: int, command: list[str] | None, *, user: int = 999
) -> list[dict[str, Any]]:
    """One pod that is Ready when its port is open, and the Service of its name.

    Of a Deployment, which tries again: a new namespace has no ServiceAccount for pods yet.
    """
    container = {
        "name": name,
        "image": image,
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    pod = {
        "containers": [container | ({"command": command} if command else {})],
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": 1,
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod}
    deployment = {"selector": {"matchLabels": labels}, "template": template}
    return [
        {**_head("apps/v1", "Deployment", name), "spec": deployment},
        {
            **_head("v1", "Service", name),
            "spec": {"selector": labels, "ports": [{"port": port}]},
        },
    ]


def _secret(name: str, url: str) -> dict[str, Any]:
    return {**_head("v1", "Secret", name), "data": {"url": base64.b64encode(url.encode()).decode()}}


def _head(version: str, kind: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
