"""The ADO platform on Kubernetes, as Pulumi components."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ado_infra.platform import AdoPlatform, AdoPlatformArgs
    from ado_infra.secrets import StackSecrets
    from ado_infra.settings import Settings
    from ado_infra.stack_config import load_settings

__all__ = [
    "AdoPlatform",
    "AdoPlatformArgs",
    "Settings",
    "StackSecrets",
    "load_settings",
]

_HOMES = {
    "AdoPlatform": "platform",
    "AdoPlatformArgs": "platform",
    "Settings": "settings",
    "StackSecrets": "secrets",
    "load_settings": "stack_config",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever is asked for
    """Imported when asked for: the operator's commands need none of it, nor Pulumi's SDK."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
