"""The platform that runs in a sandbox: waited for, and where its Services answer."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final

from kubernetes import client, config
from tenacity import (
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_delay,
    wait_fixed,
)
from urllib3 import Retry
from urllib3.exceptions import HTTPError

from ado_infra.ops.namespace import Namespace
from ado_infra.ops.platform import reading
from ado_infra.ops.platform.objects import Model
from ado_infra.ops.platform.tiers import Tier
from ado_infra.ops.target import Patience
from sandbox.errors import NotReadyError, SandboxError
from sandbox.paths import Sandbox

DEADLINE: Final = 300.0
"""Seconds that a platform may take from its deployment to Ready."""


class GaveUpError(SandboxError):
    """Something that no waiting helps."""


def api(sandbox: Sandbox) -> client.ApiClient:
    """A client of the sandbox's API server, whatever KUBECONFIG says."""
    settings = client.Configuration()
    # A connection is tried again at once; an answer that does not come is not asked for again.
    settings.retries = Retry(3, read=0)
    config.load_kube_config(str(sandbox.kubeconfig), client_configuration=settings)
    return Patience(settings)


def wait_until_ready(
    connection: client.ApiClient, namespace: str, deadline: float = DEADLINE
) -> list[Tier]:
    """Every tier, once all of them are settled.

    Raises SandboxError after `deadline` seconds, or as soon as a Job has failed for good or a pod
    is fenced, saying which tier lacks what.
    """
    attempts = Retrying(
        retry=retry_if_exception_type(SandboxError) & retry_if_not_exception_type(GaveUpError),
        stop=stop_after_delay(deadline),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    return attempts(_settled_tiers, Namespace(connection, namespace))


def _settled_tiers(namespace: Namespace) -> list[Tier]:
    with answering():
        found = reading.tiers(namespace)
    if missing := [tier for tier in found if not tier.settled]:
        said = "\n".join(["Not Ready:", *(f"  {tier.name}: {tier.reason}" for tier in missing)])
        raise GaveUpError(said) if any(tier.failed for tier in missing) else SandboxError(said)
    return found


def endpoints(
    connection: client.ApiClient, namespace: str, ports: Mapping[str, tuple[str, str]]
) -> dict[str, tuple[str, int]]:
    """Where Services answer: name → (Service, port name) becomes name → (cluster IP, port).

    Raises SandboxError when a Service is not there, or the API server does not answer.
    """
    core = client.CoreV1Api(connection)
    with answering():
        specs: dict[str, Model] = {
            service: core.read_namespaced_service(service, namespace).spec
            for service in {service for service, _ in ports.values()}
        }
    return {
        name: (
            specs[service].cluster_ip,
            next(p.port for p in specs[service].ports if p.name == port_name),
        )
        for name, (service, port_name) in ports.items()
    }


@contextmanager
def answering() -> Generator[None]:
    """Turns what the client raises into NotReadyError; who knows the stack adds the way out."""
    try:
        yield
    except client.ApiException as error:
        what = json.loads(error.body or "{}").get("message", error.reason)
        raise NotReadyError(f"The API server says: {what}.") from None
    except HTTPError as error:
        raise NotReadyError(f"The API server does not answer ({type(error).__name__}).") from None
