"""The provider's settings: what the offline plugin honours, and what it refuses.

Honoured: `kubeconfig` (a path or the contents), `context`, `namespace`, `enableConfigMapMutable`,
`enableSecretMutable`, `enablePatchForce`, `upsertExistingObjects`; the switches also by the
official plugin's environment variables. Without effect here and therefore accepted:
`kubeClientSettings`, `helmReleaseSettings`, `suppress…Warnings`. Anything else is refused by name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.plugins.provider import Failure
from sandbox.plugins.values import Properties, reveal

_SWITCHES = {
    "enableConfigMapMutable": "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE",
    "enableSecretMutable": "PULUMI_K8S_ENABLE_SECRET_MUTABLE",
    "enablePatchForce": "PULUMI_K8S_ENABLE_PATCH_FORCE",
    "upsertExistingObjects": "PULUMI_K8S_UPSERT_EXISTING_OBJECTS",
}
_HONOURED = {"kubeconfig", "context", "namespace", *_SWITCHES}
_WITHOUT_EFFECT = {
    "version",
    "pluginDownloadURL",
    "kubeClientSettings",
    "helmReleaseSettings",
    "suppressDeprecationWarnings",
    "suppressHelmHookWarnings",
}
_OFF = {"", "false", "null"}


@dataclass(frozen=True)
class Settings:
    """How a provider instance talks to its cluster, and which of the official rules it bends."""

    kubeconfig: str = ""
    """A path or the contents; empty for KUBECONFIG or `~/.kube/config`."""
    context: str = ""
    namespace: str = ""
    """For namespaced objects that name none; empty for that of the context."""
    config_map_mutable: bool = False
    """A changed ConfigMap is updated, not replaced."""
    secret_mutable: bool = False
    patch_force: bool = False
    """Take over fields that another manager owns."""
    upsert: bool = False
    """Creating an object that exists takes it over."""

    @classmethod
    def parse(cls, settings: Mapping[str, str]) -> Settings:
        """From the provider's configuration, by bare names, and the environment."""

        def on(name: str) -> bool:
            return settings.get(name, os.environ.get(_SWITCHES[name], "")) == "true"

        return cls(
            kubeconfig=settings.get("kubeconfig", ""),
            context=settings.get("context", ""),
            namespace=settings.get("namespace", ""),
            config_map_mutable=on("enableConfigMapMutable"),
            secret_mutable=on("enableSecretMutable"),
            patch_force=on("enablePatchForce"),
            upsert=on("upsertExistingObjects"),
        )


def refused(inputs: Properties) -> list[Failure]:
    """Settings that would be silently ignored, or that are not a clear yes or no."""
    failures = []
    for name, raw in sorted(inputs.items()):
        value = reveal(raw)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if name in _SWITCHES and text not in {"true", "false", ""}:
            failures.append(Failure(name, f"must be true or false, not {text!r}"))
        elif name == "enableServerSideApply" and text == "false":
            failures.append(Failure(name, "the offline plugin always uses server-side apply"))
        elif name in _HONOURED | _WITHOUT_EFFECT | {"enableServerSideApply"} or text in _OFF:
            continue
        else:
            failures.append(
                Failure(
                    name,
                    "is not covered by the offline plugin; "
                    "install the official Pulumi plugin for it",
                )
            )
    return failures
