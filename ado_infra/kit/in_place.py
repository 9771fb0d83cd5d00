"""A warning where a program's own provider replaces ConfigMaps and Secrets that change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakSet

import pulumi

_ANY: Final = "kubernetes:core/v1:ConfigMap"
_FLAGS: Final = {
    "enableConfigMapMutable": ("ConfigMap", "enable_config_map_mutable"),
    "enableSecretMutable": ("Secret", "enable_secret_mutable"),
}
"""Input of a provider → the kind that it lets change in place, and its name in Python."""
_seen: WeakSet[pulumi.ProviderResource] = WeakSet()
"""Providers of which it was or will be said: of all their objects once."""


def warn_of_replacements(made: pulumi.CustomResource) -> None:
    """Says so once for each provider that a program brings, where its flags are not set.

    The stack's own provider goes by the project's config, and is not looked at. `made`: a ConfigMap
    or Secret.
    """
    provider = made.get_provider(_ANY)
    if provider is None or provider in _seen:
        return
    _seen.add(provider)

    async def ask(urn: str) -> None:
        # What a provider was given is no attribute of it in Python. The engine knows, though, and
        # tells it in previews too, by the call that turns any reference into a resource.
        get = "pulumi:pulumi:getResource"
        try:
            found = await pulumi.runtime.invoke_async(get, {"urn": urn})
        except Exception as unknown:  # noqa: BLE001 - nothing is wrong with the program
            pulumi.log.debug(f"Not known what provider {urn} was given: {unknown}", made)
        else:
            _warn(provider, found["state"])

    provider.urn.apply(ask)


def _warn(provider: pulumi.ProviderResource, given: Mapping[str, Any]) -> None:
    # As JSON in a text; an unknown value of a preview is neither of these.
    off = [flag for flag in _FLAGS if given.get(flag) in (None, "false", False)]
    if off:
        kinds = " or ".join(_FLAGS[flag][0] for flag in off)
        flags = " and ".join(f"{_FLAGS[flag][1]}=True" for flag in off)
        pulumi.log.warn(
            f"This provider changes no {kinds} in place: a change deletes it, with what depends "
            f"on it, and makes it anew. Give the provider {flags}",
            provider,
        )
