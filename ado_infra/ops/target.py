"""Which cluster, and which namespace of it, a command is for."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException
from urllib3 import Retry

from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import ANSWER, Namespace
from ado_infra.ops.rights import Right, require

NAMESPACE: Final = "ado-system"
"""The default of `ado:namespace.name`."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the command line says.

    Attributes:
        stack: Which Pulumi.<stack>.yaml of the current directory.
        context: Another context of the kubeconfig than the stack names.
        given_namespace: Another namespace than the stack names.
    """

    stack: str
    context: str | None = None
    given_namespace: str | None = None

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

    def is_external(self, store: str) -> bool:
        """Whether the stack has a store, `postgres` or `redis`, outside the platform."""
        room = self.settings().get(f"ado:{store}")
        return isinstance(room, dict) and room.get("mode") == "external"

    @cached_property
    def namespace(self) -> str:
        """Where the platform is: by the command, else by the stack."""
        section = self.settings().get("ado:namespace")
        named = section.get("name") if isinstance(section, dict) else None
        return self.given_namespace or named or NAMESPACE

    @cached_property
    def cluster(self) -> str:
        """The context of the command, else the stack's, else the current one."""
        named: str | None = self.context or self.settings().get("kubernetes:context")
        return named or config.list_kube_config_contexts()[1]["name"]

    def announce(self) -> None:
        """Says which cluster that is, beside what a command prints."""
        place = f"context {self.cluster} · namespace {self.namespace}"
        print(f"Stack {self.stack} · {place}", file=sys.stderr, flush=True)

    def reach(self, *needed: Right) -> Namespace:
        """The namespace, on the API server of `cluster`.

        Raises OpsError when the kubeconfig has no such context, or a right that is needed is
        missing.
        """
        settings = client.Configuration()
        # A connection is tried again at once; an answer that does not come is not asked for again.
        settings.retries = Retry(3, read=0)
        try:
            config.load_kube_config(context=self.cluster, client_configuration=settings)
        except (ConfigException, OSError, yaml.YAMLError) as missing:
            raise OpsError(
                f"No cluster to talk to: {missing}. Set KUBECONFIG, or name another --context."
            ) from None
        self.announce()
        api = Patience(settings)
        require(api, self.namespace, needed)
        return Namespace(api, self.namespace)


class Patience(client.ApiClient):
    """A client that gives the API server ANSWER seconds for whatever a call does not say."""

    def call_api(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - untyped there too
        """As the client's own."""
        options["_request_timeout"] = options.get("_request_timeout") or ANSWER
        return super().call_api(*arguments, **options)
