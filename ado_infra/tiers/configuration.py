"""What the applications are told: their configuration, and the agents' credentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pulumi
import yaml

from ado_infra import ownership
from ado_infra.kit.published import publish_config, publish_secrets
from ado_infra.kit.sources import ConfigFile, SecretMount
from ado_infra.secrets import AgentCredentials
from ado_infra.settings import ApplicationConfig
from ado_infra.site import Site
from ado_infra.tiers.common import CONFIG_PATH, HTTP_PORT, WS_PORT

COMPONENT: Final = "configuration"
CONFIG_KEY: Final = "config.yaml"
CREDENTIALS_PATH: Final = "/etc/ado/credentials"


@dataclass(frozen=True, kw_only=True)
class ConfigurationArgs:
    """What the configuration is made from.

    Attributes:
        site: Where it is installed.
        config: The applications' own settings.
        agent_credentials: The keys that agents work with, as far as they were given.
    """

    site: Site
    config: ApplicationConfig
    agent_credentials: AgentCredentials


class Configuration(pulumi.ComponentResource):
    """What the applications read.

    Produces: ConfigMap `ado-config`, whose annotation also tells operators which stack the platform
    is, Secret `ado-agent-credentials` (with the keys that were given, unless they are in Secrets of
    others). It does not mount them: the tiers do.
    """

    config_file: ConfigFile
    """The applications' `config.yaml`."""
    credentials: SecretMount
    """The agents' credentials, a file each."""

    def __init__(
        self, name: str, args: ConfigurationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ado:index:Configuration", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        config_map = publish_config(
            f"{name}-config",
            args.site.metadata(COMPONENT, ownership.CONFIG_MAP, annotations=_mark()),
            {CONFIG_KEY: render_config(args.config)},
            child,
        )
        secrets = publish_secrets(
            f"{name}-agent-credentials",
            args.site.metadata(COMPONENT, "ado-agent-credentials"),
            args.agent_credentials.data,
            child,
            digest_key=args.site.digest_key,
        )
        self.config_file = config_map.file(CONFIG_KEY, CONFIG_PATH)
        self.credentials = secrets.directory(CREDENTIALS_PATH)
        self.register_outputs(
            {
                "configMap": self.config_file.config_map,
                "credentialsDigest": self.credentials.digest,
            }
        )


def _mark() -> dict[str, str]:
    return {ownership.STACK: ownership.mark(pulumi.get_project(), pulumi.get_stack())}


def render_config(config: ApplicationConfig) -> str:
    """The applications' `config.yaml`: the settings, and the ports that the tiers really use."""
    server = {"port": HTTP_PORT, "wsPort": WS_PORT}
    document: dict[str, Any] = {"server": server, **config.model_dump(mode="json", by_alias=True)}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
