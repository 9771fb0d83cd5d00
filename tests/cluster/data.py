"""Ways into the data tier of a deployment, as a client with a password has them."""

from __future__ import annotations

import base64
import json

from kubernetes import client

from ado_infra.ops.platform.objects import Model
from sandbox.deploy import rollout
from tests.cluster.deployment import NAMESPACE, Deployment

AWKWARD = "@:/%+'\" "
"""Every character that a URL, a shell, SQL or a configuration file gives a meaning of its own."""


def database_password(deployment: Deployment) -> str:
    """The password of the applications' role."""
    return _secret(deployment, "postgresql")


def redis_password(deployment: Deployment) -> str:
    """The password of the Redis cluster."""
    return _secret(deployment, "redis")


def query(
    deployment: Deployment, password: str, sql: str = "SELECT 1", host: str = "postgresql"
) -> str:
    """What psql prints for a statement, errors included, over the network of a pod."""
    psql = f'PGPASSWORD=$(cat) psql --no-psqlrc --host {host} --username ado ado --command "{sql}"'
    return deployment.shell(psql, "postgresql-1", given=password)


def redis(deployment: Deployment, password: str, command: str, host: str = "redis") -> str:
    """What redis-cli prints for a command, errors included, over the network of a pod."""
    client = f"REDISCLI_AUTH=$(cat) redis-cli -c -h {host} {command}"
    return deployment.shell(client, "redis-0", given=password).strip()


def ready_container(deployment: Deployment, pod: str) -> str:
    """The id of a pod's container when that is Ready, else nothing."""
    get = ("get", "pod", pod, "-n", NAMESPACE, "--ignore-not-found", "-o", "json")
    status = json.loads(deployment.kubectl(*get) or "{}").get("status", {})
    started = [each["containerID"] for each in status.get("containerStatuses", ()) if each["ready"]]
    return "".join(started)


def _secret(deployment: Deployment, name: str) -> str:
    with rollout.api(deployment.sandbox) as api:
        found: Model = client.CoreV1Api(api).read_namespaced_secret(name, NAMESPACE)
    return base64.b64decode(found.data["password"]).decode()
