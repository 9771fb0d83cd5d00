"""The command line: `ado-ops postgres status` and so on."""

from __future__ import annotations

import logging
from typing import Annotated

import typer
import yaml
from kubernetes import client
from urllib3.exceptions import HTTPError

from ado_infra.ops import NAME, adoption, policies, render, rights
from ado_infra.ops.errors import OpsError
from ado_infra.ops.options import say
from ado_infra.ops.postgres import commands as postgres
from ado_infra.ops.redis import commands as redis
from ado_infra.ops.running import command_line, refuse
from ado_infra.ops.target import NAMESPACE

app = command_line("What an operator does with a platform that runs.")
app.add_typer(postgres.app, name="postgres")
app.add_typer(redis.app, name="redis")
app.command()(adoption.adopt)
app.command()(render.render)
app.command()(policies.policies)


@app.command()
def role(
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Where the platform is.")
    ] = NAMESPACE,
) -> None:
    """Print a Role with all the rights that these commands need, for `kubectl apply -f -`."""
    say(yaml.safe_dump(rights.role(namespace), sort_keys=False).rstrip())


@app.command()
def schema(
    *,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As the page docs/settings.md instead.")
    ] = False,
) -> None:
    """Print what a stack may say, as the JSON Schema of Pulumi.<stack>.yaml; asks no cluster."""
    from ado_infra import schema as settings  # noqa: PLC0415 - no other command needs it

    say((settings.page() if markdown else settings.as_text(settings.stack_schema())).rstrip())


def main() -> None:
    """Run the command line; an operator's mistake is a message and exit code 1."""
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # each try again is no news
    try:
        app(prog_name=NAME)
    except OpsError as error:
        refuse(str(error))
    except client.ApiException as refused:
        refuse(f"The API server refuses: {refused.status} {refused.reason}")
    except HTTPError as unreachable:
        refuse(f"The API server does not answer: {unreachable}")
