"""A warning where a program's own provider replaces ConfigMaps and Secrets that change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakSet

import pulumi
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto.resource_pb2 import ResourceInvokeRequest
from pulumi.runtime.settings import get_monitor

_ANY: Final = "kubernetes:core/v1:ConfigMap"
_FLAGS: Final = {
    "enableConfigMapMutable": ("ConfigMap", "enable_config_map_mutable"),
    "enableSecretMutable": ("Secret", "enable_secret_mutable"),
}
"""Input of a provider → the kind that it lets change in place, and its name in Python."""
_seen: WeakSet[pulumi.ProviderResource] = WeakSet()
"""Those that were looked at: each has many objects."""


def warn_of_replacements(made: pulumi.CustomResource) -> None:
    """Says so once for each provider that a program brings, where its flags are not set.

    The stack's own provider goes by the project's config, and is not looked at. `made`: a ConfigMap
    or Secret.
    """
    provider = made.get_provider(_ANY)
    if provider is None or provider in _seen:
        return
    _seen.add(provider)

    async def look(urn: str) -> None:
        try:
            given = await _given(urn)
        except Exception as unknown:  # noqa: BLE001 - nothing is wrong with the program
            pulumi.log.debug(f"Not known what provider {urn} was given: {unknown}", made)
        else:
            _warn(provider, given)

    provider.urn.apply(look)


async def _given(urn: str) -> Mapping[str, Any]:
    """What a provider was given, which is no attribute of it in Python.

    The engine tells it, in previews too, by the call that turns references into resources. Not by
    `pulumi.runtime.invoke`, after whose failure the program fails, whoever catches it.
    """
    arguments = Struct()
    arguments.update({"urn": urn})
    request = ResourceInvokeRequest(tok="pulumi:pulumi:getResource", args=arguments)
    engine: Any = get_monitor()
    answer = await asyncio.to_thread(engine.Invoke, request)
    return getattr(answer, "return")["state"]


def _warn(provider: pulumi.ProviderResource, given: Mapping[str, Any]) -> None:
    # As JSON in a text; one that is not known yet is another text.
    off = [flag for flag in _FLAGS if flag not in given or given[flag] in ("false", False)]
    if off:
        kinds = " or ".join(_FLAGS[flag][0] for flag in off)
        flags = " and ".join(f"{_FLAGS[flag][1]}=True" for flag in off)
        pulumi.log.warn(
            f"This provider changes no {kinds} in place: a change deletes it, with what depends "
            f"on it, and makes it anew. Give the provider {flags}",
            provider,
        )
