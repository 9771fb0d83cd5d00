"""`ado-ops role` and `ado-ops schema`, which only print, and ask no cluster."""

from __future__ import annotations

from typing import Annotated

import typer
import yaml

from ado_infra.ops import rights
from ado_infra.ops.options import NAMESPACE, say


def role(
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Where the platform is.")
    ] = NAMESPACE,
    *,
    nodes: Annotated[
        bool, typer.Option("--nodes", help="And a ClusterRole for `drain`, which changes nodes.")
    ] = False,
) -> None:
    """Print a Role with all the rights that these commands need, for `kubectl apply -f -`."""
    printed = [rights.role(namespace), *([rights.cluster_role()] if nodes else [])]
    say(yaml.safe_dump_all(printed, sort_keys=False).rstrip())


def schema(
    *,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As the page docs/settings.md instead.")
    ] = False,
) -> None:
    """Print what a stack may say, as the JSON Schema of Pulumi.<stack>.yaml; asks no cluster."""
    from ado_infra import schema as settings  # noqa: PLC0415 - the Role needs none of it

    say((settings.page() if markdown else settings.as_text(settings.stack_schema())).rstrip())
