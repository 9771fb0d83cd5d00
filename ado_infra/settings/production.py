"""What the profile `production` demands of the settings; of the secrets see `stack.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum, unique
from typing import Any

from pydantic.alias_generators import to_camel

from ado_infra.kit.spec import AntiAffinity
from ado_infra.settings.data import StoreSettings
from ado_infra.settings.edge import EdgeSettings
from ado_infra.settings.tiers import TierSettings


@unique
class Profile(StrEnum):
    """How much a stack must guarantee before it may be deployed."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


def production_problems(sections: Mapping[str, Any]) -> Iterator[str]:
    """What a stack of profile `production` lacks: key, value and what to do.

    `sections`: field of `Settings` → its value, as far as they are right in themselves.
    """
    if sections.get("profile") is not Profile.PRODUCTION:
        return
    if sections.get("protect_data") is False:
        yield (
            "ado:protectData = false: profile production demands true; to take the stack down on "
            "purpose, give up the profile first\n    pulumi config rm ado:profile"
        )
    if isinstance(edge := sections.get("edge"), EdgeSettings) and not edge.encryption:
        yield (
            "ado:edge.tlsIssuer is missing; profile production demands one, or ado:edge.tls\n"
            "    pulumi config set --path 'ado:edge.tlsIssuer' NAME"
        )
    for key, tier in _tiers(sections):
        if isinstance(tier, TierSettings) and tier.minimum_replicas < 2:
            minimum = f"ado:{key}.{tier.MINIMUM}"
            yield (
                f"{minimum} = {tier.minimum_replicas}: profile production demands at least 2\n"
                f"    pulumi config set --path '{minimum}' 2"
            )
        if tier.REQUIRES_ANTI_AFFINITY and tier.anti_affinity is not AntiAffinity.REQUIRED:
            spread = f"ado:{key}.antiAffinity"
            yield (
                f"{spread} = {tier.anti_affinity}: profile production demands required\n"
                f"    pulumi config set --path '{spread}' required"
            )


def _tiers(sections: Mapping[str, Any]) -> Iterator[tuple[str, TierSettings | StoreSettings]]:
    """Every tier and store, those of a mapping one by one, with the key that leads to it."""
    for section, value in sections.items():
        named = value.items() if isinstance(value, Mapping) else [("", value)]
        for name, tier in named:
            if isinstance(tier, TierSettings | StoreSettings):
                yield ".".join(filter(None, (to_camel(section), name))), tier
