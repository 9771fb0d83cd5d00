"""Which cluster, and which namespace of it, a command is for."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

from kubernetes import client

from ado_infra import ownership
from ado_infra.ops.clusters import Cluster, cluster_of
from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import ANSWER, Namespace
from ado_infra.ops.options import NAMESPACE
from ado_infra.ops.rights import Right, require
from ado_infra.render.errors import RenderError
from ado_infra.render.stack_file import Config, read_config


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the command line says.

    Attributes:
        stack: Which Pulumi.<stack>.yaml of the current directory; it may be named with its
            organisation, and project.
        context: Another context of the kubeconfig than the stack names.
        given_namespace: Another namespace than the stack names.
    """

    stack: str
    context: str | None = None
    given_namespace: str | None = None

    @cached_property
    def config(self) -> Config:
        """What the files of the stack and of its project say.

        Raises OpsError when there are none.
        """
        try:
            return read_config(Path.cwd(), self.stack)
        except RenderError as refused:
            raise OpsError(str(refused)) from None

    def settings(self) -> dict[str, Any]:
        """The config of stack and project; encrypted values stay as they are."""
        return dict(self.config.values)

    def is_external(self, store: str) -> bool:
        """Whether the stack has a store, `postgres` or `redis`, outside the platform."""
        section = self.settings().get(f"ado:{store}")
        return isinstance(section, dict) and section.get("mode") == "external"

    @cached_property
    def namespace(self) -> str:
        """Where the platform is: by the command, else by the stack."""
        section = self.settings().get("ado:namespace")
        named = section.get("name") if isinstance(section, dict) else None
        return self.given_namespace or named or NAMESPACE

    @property
    def cluster(self) -> str:
        """The context of the command, else the stack's, else the current one."""
        return self.way.context

    @property
    def file(self) -> Path:
        """The stack's file."""
        return Path(f"Pulumi.{self.config.stack}.yaml")

    @property
    def kubectl(self) -> str:
        """How kubectl is told of the namespace, as whoever types it does."""
        kubeconfig = self.way.kubeconfig
        own = kubeconfig.paths if kubeconfig and self.way.of_stack else ()
        files = [f"--kubeconfig {shlex.quote(str(path))}" for path in own]
        options = [*files, f"--context {shlex.quote(self.cluster)}", f"-n {self.namespace}"]
        return " ".join(["kubectl", *options])

    @cached_property
    def way(self) -> Cluster:
        """The way to the cluster.

        Raises OpsError when there is none.
        """
        return cluster_of(self.stack, self.settings(), self.context)

    def announce(self) -> None:
        """Says which cluster that is, beside what a command prints."""
        place = f"context {self.cluster} · namespace {self.namespace}"
        _aside(f"Stack {self.stack} · {place}")

    def reach(self, *needed: Right) -> Namespace:
        """The namespace, on the API server of `cluster`.

        Raises OpsError when there is no way there, when what runs there is another stack's, or a
        right that is needed is missing.
        """
        api = Patience(self.way.client())
        self.announce()
        self._recognise(api)
        require(api, self.namespace, needed)
        return Namespace(api, self.namespace)

    def _recognise(self, api: client.ApiClient) -> None:
        """Makes sure that the platform there is this stack's; warns where nobody can tell."""
        mine = ownership.mark(self.config.project, self.config.stack)
        core, where = client.CoreV1Api(api), f"namespace {self.namespace}"
        unmarked = "does not say which stack it belongs to"
        try:
            found: Any = core.read_namespaced_config_map(ownership.CONFIG_MAP, self.namespace)
        except client.ApiException as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                _aside(f"Warning: {where} has no ConfigMap {ownership.CONFIG_MAP}, and {unmarked}.")
            elif refused.status == HTTPStatus.FORBIDDEN:
                _aside(f"Warning: you may not get configmaps, and {where} {unmarked}.")
            else:
                raise
            return
        mark = (found.metadata.annotations or {}).get(ownership.STACK)
        if mark is None:
            _aside(f"Warning: {where} {unmarked}; the next `pulumi up` of its stack says it there.")
        elif mark != mine:
            project, _, stack = mark.partition("/")
            raise OpsError(
                f"The platform in {where} of context {self.cluster} is stack {stack} of project "
                f"{project}, not {self.config.stack} of {self.config.project}: nothing was asked "
                "of it. Name that stack, or where yours is by --context or --namespace; a stack "
                "that was renamed is known by its new name after `pulumi up`."
            )


def _aside(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Patience(client.ApiClient):
    """A client that gives the API server ANSWER seconds for whatever a call does not say."""

    def call_api(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - untyped there too
        """As the client's own."""
        options["_request_timeout"] = options.get("_request_timeout") or ANSWER
        return super().call_api(*arguments, **options)
