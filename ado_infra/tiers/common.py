"""What the application tiers agree on: names, ports, and what their pods are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.autoscaling.v2 import HorizontalPodAutoscaler
from pulumi_kubernetes.core.v1 import Service

from ado_infra.data.endpoints import Endpoint
from ado_infra.kit.autoscaling import Autoscaling
from ado_infra.kit.connections import Pods
from ado_infra.kit.pods import Scratch
from ado_infra.kit.sources import ConfigFile, Files, SecretVariable, Variable
from ado_infra.kit.workload import Port, Termination, Workload, WorkloadArgs
from ado_infra.settings import TierSettings
from ado_infra.site import Site

HTTP_PORT: Final = 3000
WS_PORT: Final = 3001
METRICS: Final = Port(name="metrics", container=9090, service=9090)
"""Every tier serves `/metrics` here; monitoring finds it by the port's name."""

CONFIG_PATH: Final = "/etc/ado/config.yaml"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the pods of a tier are told, and what they may write to.

    Attributes:
        variables: Plain environment variables of the tier's own.
        endpoints: The stores that it uses.
        config_file: The applications' configuration, where it reads it.
        files: Volume name → what else is read from a ConfigMap or Secret.
        scratch: Volume name → writable directory.
    """

    variables: Mapping[str, Variable] = field(default_factory=dict)
    endpoints: Sequence[Endpoint] = ()
    config_file: ConfigFile | None = None
    files: Mapping[str, Files] = field(default_factory=dict)
    scratch: Mapping[str, Scratch] = field(default_factory=dict)


class Tier(pulumi.ComponentResource):
    """An application tier: one Workload, whose parts it exposes."""

    TYPE: ClassVar[str]
    """The type token, part of every URN: a class that is renamed keeps it, or all is replaced."""

    workload: Workload

    def __init__(
        self, name: str, workload: WorkloadArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(self.TYPE, name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.workload = Workload(f"{name}-workload", workload, child)

    @property
    def deployment(self) -> Deployment:
        """Its pods."""
        return self.workload.deployment

    @property
    def autoscaler(self) -> HorizontalPodAutoscaler | None:
        """What moves their number; None where that is fixed."""
        return self.workload.autoscaler

    @property
    def service(self) -> Service:
        """What leads to them."""
        return self.workload.service

    @property
    def service_name(self) -> pulumi.Output[str]:
        """Name of the Service, once the pods behind it are Ready."""
        return self.workload.service_name


def tier_workload(
    site: Site,
    settings: TierSettings,
    *,
    section: str,
    component: str,
    ports: tuple[Port, ...],
    replicas: int | Autoscaling,
    inputs: Inputs,
    pool: str | None = None,
    headless: bool = False,
    service_annotations: Mapping[str, str] | None = None,
    termination: Termination | None = None,
) -> WorkloadArgs:
    """The workload `ado-<component>[-<pool>]` running the image `<registry>/<component>`.

    `section`: the key of its settings in a stack, for messages.
    """
    file = inputs.config_file
    config: dict[str, Files] = {"config": file} if file else {}
    return WorkloadArgs(
        identity=site.identity(component),
        name=tier_name(component, pool),
        namespace=site.namespace,
        image=site.own_image(component, settings.image),
        version=settings.image.label,
        pull_secret=site.image_pull_secret,
        ports=ports,
        service_annotations=service_annotations or {},
        headless=headless,
        resources=settings.resources,
        health=settings.health,
        disruption=settings.disruption,
        anti_affinity=settings.anti_affinity,
        replicas=replicas,
        termination=termination or Termination(),
        variables=_variables(inputs),
        secrets=_secrets(inputs.endpoints),
        files={**config, **inputs.files},
        scratch=inputs.scratch,
        extension=site.extension(section, settings.pod),
    )


def tier_name(component: str, pool: str | None = None) -> str:
    """Name of a tier's workload."""
    return "-".join(filter(None, ("ado", component, pool)))


def tier_pods(site: Site, component: str, pool: str | None = None) -> Pods:
    """A tier's pods, as others on the network know them."""
    return site.pods_of(tier_name(component, pool))


def given_endpoints(*endpoints: Endpoint | None) -> tuple[Endpoint, ...]:
    """Those that there are."""
    return tuple(endpoint for endpoint in endpoints if endpoint)


def _variables(inputs: Inputs) -> dict[str, Variable]:
    variables: dict[str, Variable] = {}
    if inputs.config_file:
        variables["ADO_CONFIG_FILE"] = inputs.config_file.path
    for endpoint in inputs.endpoints:
        variables.update(endpoint.variables)
    return {**variables, **inputs.variables}


def _secrets(endpoints: Sequence[Endpoint]) -> dict[str, SecretVariable]:
    return {name: key for endpoint in endpoints for name, key in endpoint.secrets.items()}
