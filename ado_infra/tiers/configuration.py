"""What the applications are told: their configuration, and the agents' credentials."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import yaml
from pulumi_kubernetes.core.v1 import ConfigMap, Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from ado_infra.kit.digests import config_digest, secret_digest
from ado_infra.kit.sources import ConfigFile
from ado_infra.secrets import AgentCredentials
from ado_infra.settings import ApplicationConfig
from ado_infra.tiers.common import CONFIG_PATH, HTTP_PORT, WS_PORT, Placement

CONFIG_KEY: Final = "config.yaml"


@dataclass(frozen=True, kw_only=True)
class ConfigurationArgs:
    """The settings of the applications and the keys that agents work with."""

    placement: Placement
    config: ApplicationConfig
    agent_credentials: AgentCredentials
    digest_key: pulumi.Input[str]


class Configuration(pulumi.ComponentResource):
    """What the applications read.

    Produces: ConfigMap `ado-config`, Secret `ado-agent-credentials` (with the keys that were
    given). It does not mount them: the tiers do, with `config_file`.
    """

    config_file: ConfigFile
    """The applications' `config.yaml`."""
    credentials_digest: pulumi.Output[str]
    """Changes with the agents' credentials; whoever mounts them puts it on its pods."""

    def __init__(
        self, name: str, args: ConfigurationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:Configuration", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        data = {CONFIG_KEY: render_config(args.config)}
        config_map = ConfigMap(
            f"{name}-config", metadata=_metadata(args, "ado-config"), data=data, opts=child
        )
        credentials = args.agent_credentials.data
        Secret(
            f"{name}-agent-credentials",
            metadata=_metadata(args, "ado-agent-credentials"),
            type="Opaque",
            data={key: _base64(value) for key, value in credentials.items()},
            opts=child,
        )
        self.config_file = ConfigFile(
            config_map=config_map.metadata.name,
            key=CONFIG_KEY,
            path=CONFIG_PATH,
            digest=config_digest(data),
        )
        self.credentials_digest = secret_digest(args.digest_key, credentials)
        self.register_outputs(
            {
                "configMap": self.config_file.config_map,
                "credentialsDigest": self.credentials_digest,
            }
        )


def render_config(config: ApplicationConfig) -> str:
    """The applications' `config.yaml`: the settings, and the ports that the tiers really use."""
    server = {"port": HTTP_PORT, "wsPort": WS_PORT}
    document: dict[str, Any] = {"server": server, **config.model_dump(mode="json", by_alias=True)}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _metadata(args: ConfigurationArgs, name: str) -> ObjectMetaArgs:
    labels = args.placement.identity("configuration").labels
    return ObjectMetaArgs(name=name, namespace=args.placement.namespace, labels=labels)


def _base64(value: pulumi.Output[str]) -> pulumi.Output[str]:
    # As `data`, not `stringData`: the server would turn the latter into the former, and every
    # preview would show a difference.
    return value.apply(lambda text: base64.b64encode(text.encode()).decode())
