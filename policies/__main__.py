"""The policy pack: `pulumi preview --policy-pack policies`, and `up` in the same way.

The rules are those of `ado-ops policies`, and so are profile and waivers, which come from the
stack's config. Here they see objects as the engine has planned them, with what the API server
added; which values are secret is not told to a pack.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

UNKNOWN = "(known after up)"
CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from ado_infra.policies import ALWAYS, IN_PRODUCTION, Rule  # noqa: E402 - found by the line above
from ado_infra.render.judged import judged_objects  # noqa: E402
from ado_infra.render.objects import RenderedObject  # noqa: E402
from ado_infra.render.stack_file import read_stack  # noqa: E402


def policy(rule: Rule) -> StackValidationPolicy:
    """A rule as the engine asks for it."""
    name = rule.__name__

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        found = objects(args.resources)
        urns = {f"{each.kind}/{each.name}": urn for urn, each in found.items()}
        stack = stack_of(args.resources)
        for finding in judged_objects(stack, config(stack), list(found.values())).findings:
            if finding.rule == name:
                said = ": ".join(filter(None, (finding.subject, finding.remedy)))
                report(said, urns.get(finding.subject))

    return StackValidationPolicy(name, str(rule.__doc__).partition("\n")[0], validate)


def objects(resources: Sequence[PolicyResource]) -> dict[str, RenderedObject]:
    """URN → object, of all that are Kubernetes objects with a name."""
    found = {
        each.urn: RenderedObject(
            manifest=known(each.props),
            wave=0,
            ignored=tuple(each.opts.ignore_changes),
            protect=each.opts.protect,
            secrets=(),
        )
        for each in resources
        if each.resource_type.startswith("kubernetes:")
    }
    return {
        urn: each
        for urn, each in found.items()
        if "kind" in each.manifest and "name" in (each.manifest.get("metadata") or {})
    }


def known(value: Any) -> Any:  # noqa: ANN401 - any of JSON's
    """A value with a word for what is not known yet, which would raise when it is looked at."""
    if isinstance(value, Mapping):
        return {key: _inner(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_inner(value, place) for place in range(len(value))]
    return value


def _inner(value: Any, key: Any) -> Any:  # noqa: ANN401 - any of JSON's
    try:
        return known(value[key])
    except UnknownValueError:
        return UNKNOWN


def stack_of(resources: Sequence[PolicyResource]) -> str:
    """Which stack it is: every URN says so."""
    return resources[0].urn.split(":")[2] if resources else ""


def config(stack: str) -> Mapping[str, str]:
    """The stack's config: the engine hands it over or, where a language host does not, its file."""
    given: Mapping[str, str] = pulumi.runtime.get_config_env()
    return given or read_stack(CHECKOUT, stack).config


PolicyPack(
    "ado",
    [policy(rule) for rule in (*ALWAYS, *IN_PRODUCTION)],
    enforcement_level=EnforcementLevel.MANDATORY,
)
