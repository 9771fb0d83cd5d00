"""Which of the policies (`ado_infra/policies.py`) a stack does without, and why."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Annotated

from pydantic import StringConstraints

from ado_infra.kit.schema_rules import SchemaRules, pattern_rule
from ado_infra.kit.spec import Spec


@unique
class Policy(StrEnum):
    """The name of a rule that every rendered object is held against."""

    NO_LATEST = "no_latest"
    PROBES = "probes"
    RESOURCES = "resources"
    SPREAD = "spread"
    ONE_DISRUPTION_BUDGET = "one_disruption_budget"
    RESTRICTED = "restricted"
    NO_SECRET_IN_PLAIN_SIGHT = "no_secret_in_plain_sight"  # noqa: S105 - a rule's name
    NO_PUBLIC_SERVICE = "no_public_service"
    CLAIMS_ARE_KEPT = "claims_are_kept"
    DIGESTS = "digests"
    PROTECTED_DATA = "protected_data"
    BACKUP = "backup"
    REDIS_REPLICAS = "redis_replicas"


PolicyName = Annotated[Policy, SchemaRules({"title": "policy"})]
Reason = Annotated[
    str,
    StringConstraints(pattern=r"\S", max_length=500),
    pattern_rule("reason", r"\S", maxLength=500),
]


class PolicySettings(Spec):
    """What the policies let pass, for they look at the stack's objects and know no reasons."""

    waived: dict[PolicyName, Reason] = {}  # noqa: RUF012 - pydantic copies it
    """Name of a policy → why this stack does without; one that nothing breaks is refused."""
