"""The command line: `ado-ops status`, `ado-ops postgres status` and so on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from ado_infra.ops import NAME
from ado_infra.ops.errors import OpsError
from ado_infra.ops.running import command_line, refuse

if TYPE_CHECKING:
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

COMMANDS: Final = {
    "status": (
        "ado_infra.ops.platform.commands:status",
        "Every tier as it runs, and what it lacks.",
    ),
    "picture": (
        "ado_infra.ops.platform.commands:picture",
        "The platform as it runs, and who talks to whom, drawn.",
    ),
    "postgres": (
        "ado_infra.ops.postgres.commands:app",
        "PostgreSQL: failover, passwords, backup and restore.",
    ),
    "redis": (
        "ado_infra.ops.redis.commands:app",
        "Redis: whether its cluster is whole, and repairs.",
    ),
    "rotate-model-key": (
        "ado_infra.ops.model_key:rotate_model_key",
        "Give a pool of workers another key to its model gateway.",
    ),
    "drift": (
        "ado_infra.ops.platform.drift:drift",
        "What differs between the stack as written and the cluster.",
    ),
    "drain": (
        "ado_infra.ops.nodes.commands:drain",
        "Take the platform off a node, the databases first.",
    ),
    "pause": (
        "ado_infra.ops.platform.pausing:pause",
        "Stop the applications, and nothing of the data.",
    ),
    "resume": (
        "ado_infra.ops.platform.pausing:resume",
        "Start what was paused.",
    ),
    "adopt": (
        "ado_infra.ops.adoption:adopt",
        "Make the lost state of a stack anew.",
    ),
    "render": (
        "ado_infra.ops.render:render",
        "Every object of a stack as YAML, or all images.",
    ),
    "review": (
        "ado_infra.ops.review:review",
        "What a branch changes in each stack, as Markdown.",
    ),
    "policies": (
        "ado_infra.ops.policies:policies",
        "What of a stack breaks a policy, and what mends it.",
    ),
    "role": (
        "ado_infra.ops.printed:role",
        "A Role with the rights that these commands need.",
    ),
    "schema": (
        "ado_infra.ops.printed:schema",
        "What a stack file may say, as a JSON Schema.",
    ),
}
"""Name → where it is, and what it does, in a line of the list."""

app = command_line("What an operator does with a platform that runs.", COMMANDS)


def main() -> None:
    """Run the command line; an operator's mistake is a message and exit code 1."""
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # each try again is no news
    try:
        app(prog_name=NAME)
    except (SystemExit, ModuleNotFoundError):
        raise
    except OpsError as error:
        refuse(str(error))
    except _refusals() as refused:
        refuse(f"The API server refuses: {refused.status} {refused.reason}")
    except _failures() as unreachable:
        refuse(f"The API server does not answer: {unreachable}")


# Both are asked for once something has gone wrong: until then the client need not be loaded.
def _refusals() -> type[ApiException]:
    from kubernetes.client import ApiException  # noqa: PLC0415

    return ApiException


def _failures() -> type[HTTPError]:
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    return HTTPError
