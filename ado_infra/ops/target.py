"""Which cluster, and which namespace of it, a command is for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes import config
from kubernetes.config.config_exception import ConfigException

from ado_infra.ops.errors import OpsError
from ado_infra.ops.pods import Namespace

NAMESPACE: Final = "ado-system"
"""The program's default (`AdoPlatformArgs.namespace`)."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the command line says.

    Attributes:
        stack: Which Pulumi.<stack>.yaml of the current directory.
        context: Another context of the kubeconfig than the stack names.
        namespace: Where the platform is.
    """

    stack: str
    context: str | None = None
    namespace: str = NAMESPACE

    def settings(self) -> dict[str, Any]:
        """The config of the stack file; encrypted values stay as they are.

        Raises OpsError when there is no such file.
        """
        path = Path(f"Pulumi.{self.stack}.yaml")
        if not path.is_file():
            known = ", ".join(sorted(p.name for p in Path().glob("Pulumi.*.yaml"))) or "none"
            raise OpsError(f"There is no {path} in this directory (there is: {known}).")
        loaded: dict[str, Any] = yaml.safe_load(path.read_text()) or {}
        found: dict[str, Any] = loaded.get("config") or {}
        return found

    @property
    def named(self) -> str | None:
        """The context that is named, by the command or by the stack."""
        return self.context or self.settings().get("kubernetes:context")

    def reach(self) -> Namespace:
        """The namespace, on the API server of `context`, else of the stack's, else the current one.

        Raises OpsError when the kubeconfig has none of that.
        """
        try:
            return Namespace(config.new_client_from_config(context=self.named), self.namespace)
        except ConfigException as missing:
            raise OpsError(
                f"No cluster to talk to: {missing} Set KUBECONFIG, or name a context: --context."
            ) from None
