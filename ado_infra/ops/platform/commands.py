"""`ado-ops status` and `ado-ops picture`: the whole platform, on any cluster.

They ask for no right beforehand: what may not be read is named, and the rest is shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ado_infra.ops.errors import OpsError
from ado_infra.ops.options import (
    CHECKED,
    TROUBLE,
    Check,
    Context,
    In,
    Json,
    Stack,
    console,
    finish,
    say,
    say_json,
)
from ado_infra.ops.platform import picture as drawing
from ado_infra.ops.platform import report
from ado_infra.ops.platform.reading import look
from ado_infra.ops.target import Target


def status(
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    as_json: Json = False,
    check: Check = False,
) -> None:
    """Show every tier as it runs; exit code 3 if not all is Ready."""
    target = Target(stack=stack, context=context, given_namespace=namespace)
    sight = look(target.reach())
    findings = report.findings(sight)
    if as_json:
        where = {"stack": stack, "context": target.cluster}
        say_json(findings, where | report.data(sight))
    elif not check:
        report.show(console(), sight)
        if sight.platform.postgresql:
            ask = f"`ado-ops postgres status --stack {stack}`"
            say(f"PostgreSQL: {sight.platform.postgresql}: {ask}")
    finish(findings, quiet=not check or as_json, code=CHECKED if check else TROUBLE)


def picture(
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the SVG goes.")] = Path(
        "platform.svg"
    ),
) -> None:
    """Draw the platform as it runs: every tier, its state, and who talks to whom."""
    target = Target(stack=stack, context=context, given_namespace=namespace)
    sight = look(target.reach())
    unseen = report.not_seen(sight)
    if not sight.platform.tiers:
        said = [*report.findings(sight), *([unseen] if unseen else [])]
        raise OpsError(f"There is nothing to draw. {'. '.join(said)}")
    drawn = drawing.svg(sight.platform, f"ADO platform, stack {stack}")
    try:
        output.write_text(drawn, encoding="utf-8")
    except OSError as refused:
        raise OpsError(f"{output} cannot be written: {refused.strerror}.") from None
    if unseen:
        say(unseen)
    say(f"Drawn: {output}")
