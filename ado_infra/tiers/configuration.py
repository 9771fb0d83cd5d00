"""What the applications are told: their configuration, and the agents' credentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pulumi
import yaml
from pulumi_kubernetes.core.v1 import ConfigMap, Secret

from ado_infra.kit.digests import config_digest, secret_digest
from ado_infra.kit.sources import ConfigFile, SecretDirectory, base64_data
from ado_infra.secrets import AgentCredentials, ConfigSecret, not_given
from ado_infra.settings import ApplicationConfig
from ado_infra.site import Placement
from ado_infra.tiers.common import CONFIG_PATH, HTTP_PORT, WS_PORT

COMPONENT: Final = "configuration"
CONFIG_KEY: Final = "config.yaml"
CREDENTIALS_PATH: Final = "/etc/ado/credentials"
_NO_CREDENTIALS: Final = not_given(
    "No key of a model provider: workers are given none, and fail unless their agents reach a "
    "model without; one of these is enough",
    ConfigSecret.ANTHROPIC_API_KEY,
    ConfigSecret.GOOGLE_API_KEY,
)


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
    given). It does not mount them: the tiers do.
    """

    config_file: ConfigFile
    """The applications' `config.yaml`."""
    credentials: SecretDirectory
    """The agents' credentials, a file each."""

    def __init__(
        self, name: str, args: ConfigurationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:Configuration", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        data = {CONFIG_KEY: render_config(args.config)}
        config_map = ConfigMap(
            f"{name}-config",
            metadata=args.placement.metadata(COMPONENT, "ado-config"),
            data=data,
            opts=child,
        )
        credentials = args.agent_credentials.data
        if not credentials:
            pulumi.log.warn(_NO_CREDENTIALS, self)
        secret = Secret(
            f"{name}-agent-credentials",
            metadata=args.placement.metadata(COMPONENT, "ado-agent-credentials"),
            type="Opaque",
            data=base64_data(credentials),
            opts=child,
        )
        self.config_file = ConfigFile(
            config_map=config_map.metadata.name,
            key=CONFIG_KEY,
            path=CONFIG_PATH,
            digest=config_digest(data),
        )
        self.credentials = SecretDirectory(
            secret=secret.metadata.name,
            path=CREDENTIALS_PATH,
            digest=secret_digest(args.digest_key, credentials),
        )
        self.register_outputs(
            {
                "configMap": self.config_file.config_map,
                "credentialsDigest": self.credentials.digest,
            }
        )


def render_config(config: ApplicationConfig) -> str:
    """The applications' `config.yaml`: the settings, and the ports that the tiers really use."""
    server = {"port": HTTP_PORT, "wsPort": WS_PORT}
    document: dict[str, Any] = {"server": server, **config.model_dump(mode="json", by_alias=True)}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
