"""What must stay secret: Outputs only, from Pulumi config, or generated once and kept in the state.

Nothing here turns a secret into `str`; the digests that roll pods are the one thing that is made
public, and they say nothing about the value without the stack's own key (see `kit/digests.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique

import pulumi
from pulumi_random import RandomBytes


@unique
class ConfigSecret(StrEnum):
    """The secrets that a stack gives, as keys of its config."""

    ANTHROPIC_API_KEY = "anthropicApiKey"
    GOOGLE_API_KEY = "googleApiKey"


@dataclass(frozen=True, kw_only=True)
class AgentCredentials:
    """API keys of the model providers that agents work with; None where a stack gives none."""

    anthropic_api_key: pulumi.Output[str] | None = None
    google_api_key: pulumi.Output[str] | None = None

    @classmethod
    def from_config(cls) -> AgentCredentials:
        """The keys of this stack's config, as secret Outputs."""
        config = pulumi.Config("ado")
        return cls(
            anthropic_api_key=config.get_secret(ConfigSecret.ANTHROPIC_API_KEY),
            google_api_key=config.get_secret(ConfigSecret.GOOGLE_API_KEY),
        )

    @property
    def data(self) -> dict[str, pulumi.Output[str]]:
        """The keys that were given, by their name in the Secret; always secret."""
        given = {
            "anthropic-api-key": self.anthropic_api_key,
            "google-api-key": self.google_api_key,
        }
        return {name: pulumi.Output.secret(key) for name, key in given.items() if key is not None}


def generated_digest_key(name: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """A 256-bit key, made once per stack and in hex, for `kit.digests.secret_digest`."""
    return pulumi.Output.secret(RandomBytes(name, length=32, opts=opts).hex)
