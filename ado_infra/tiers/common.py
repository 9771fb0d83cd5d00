"""What the application tiers agree on: names, labels, ports, and where the configuration is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pulumi

from ado_infra.kit.labels import Identity
from ado_infra.kit.sources import ConfigFile, SecretKey
from ado_infra.kit.workload import Port, WorkloadArgs
from ado_infra.settings import ImageSettings, Scaling, TierSettings

APPLICATION: Final = "ado"

HTTP_PORT: Final = 3000
WS_PORT: Final = 3001
METRICS: Final = Port(name="metrics", container=9090, service=9090)
"""Every tier serves `/metrics` here; monitoring finds it by the port's name."""

CONFIG_PATH: Final = "/etc/ado/config.yaml"


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a tier is installed and from where its image comes; the same for all tiers."""

    namespace: pulumi.Input[str]
    instance: str
    images: ImageSettings

    def identity(self, component: str) -> Identity:
        """What the objects of a component belong to."""
        return Identity(application=APPLICATION, instance=self.instance, component=component)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the pods of a tier read."""

    variables: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    secrets: Mapping[str, SecretKey] = field(default_factory=dict)
    config_file: ConfigFile | None = None


def tier_workload(
    placement: Placement,
    settings: TierSettings,
    *,
    component: str,
    ports: tuple[Port, ...],
    replicas: int | Scaling,
    inputs: Inputs | None = None,
) -> WorkloadArgs:
    """The workload `ado-<component>` running the image `<registry>/<component>`."""
    inputs = inputs or Inputs()
    file = inputs.config_file
    told_by = {"ADO_CONFIG_FILE": file.path} if file else {}
    return WorkloadArgs(
        identity=placement.identity(component),
        name=f"ado-{component}",
        namespace=placement.namespace,
        image=settings.image.reference(f"{placement.images.registry}/{component}"),
        version=settings.image.label,
        pull_secret=placement.images.pull_secret,
        ports=ports,
        resources=settings.resources,
        health=settings.health,
        disruption=settings.disruption,
        anti_affinity=settings.anti_affinity,
        replicas=replicas,
        variables={**told_by, **inputs.variables},
        secrets=inputs.secrets,
        files={"config": file} if file else {},
    )
