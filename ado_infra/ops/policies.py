"""`ado-ops policies`: what breaks a policy in a stack, before anything of it is deployed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ado_infra.ops.errors import OpsError
from ado_infra.ops.options import Stack, say
from ado_infra.policies import Judgement


def policies(
    stack: Stack,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Hold every object of a stack against the policies; exit code 1 where one is broken.

    Asks no cluster and no engine. What a stack waives (`ado:policies.waived`) is shown with its
    reason.
    """
    # Pulumi's SDK takes a second to load, and no other command needs it.
    from ado_infra.render.errors import RenderError  # noqa: PLC0415
    from ado_infra.render.judged import judged  # noqa: PLC0415

    try:
        judgement = judged(Path.cwd(), stack)
    except RenderError as refused:
        raise OpsError(str(refused)) from None
    if as_json:
        say(json.dumps({"stack": stack, **asdict(judgement)}, ensure_ascii=False, indent=2))
    else:
        _print(stack, judgement)
    if judgement.findings:
        raise typer.Exit(1)


def _print(stack: str, judgement: Judgement) -> None:
    for finding in judgement.findings:
        say(f"- {finding}")
    for waiver in judgement.waivers:
        say(f"- {waiver}")
    broken = len({finding.rule for finding in judgement.findings})
    what = "every policy is kept" if not broken else f"{broken} policies are broken"
    what = "1 policy is broken" if broken == 1 else what
    say(f"{stack}: {what}; {len(judgement.waivers)} waived.")
