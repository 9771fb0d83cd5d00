"""What the External Secrets operator is asked to write, and keep as its store has it.

Plain dictionaries: pulumi-kubernetes has no type for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource

from ado_infra.kit.crds import required_crd
from ado_infra.settings import RemoteSecret, SecretSettings, SecretStore
from ado_infra.site import Site

API_VERSION: Final = "external-secrets.io/v1"
CRD: Final = "externalsecrets.external-secrets.io"


def external_secrets(
    name: str, site: Site, settings: SecretSettings, opts: pulumi.ResourceOptions
) -> list[CustomResource]:
    """Makes an ExternalSecret for each Secret that has a `remote`, of its name.

    Nobody waits for the operator: pods wait for the Secret.
    """
    if settings.store is None:
        return []
    return [
        CustomResource(
            f"{name}-{secret}",
            api_version=API_VERSION,
            kind="ExternalSecret",
            metadata=site.metadata("secrets", secret),
            spec=external_secret_spec(settings.store, keys),
            opts=opts,
        )
        for secret, keys in remote_secrets(settings).items()
    ]


def remote_secrets(settings: SecretSettings) -> dict[str, dict[str, RemoteSecret]]:
    """Name of a Secret → key → what the operator writes there."""
    found: dict[str, dict[str, RemoteSecret]] = {}
    for _, reference in settings.references:
        if reference.remote and reference.key:
            found.setdefault(reference.secret, {})[reference.key] = reference.remote
    return found


def external_secret_spec(store: SecretStore, keys: Mapping[str, RemoteSecret]) -> dict[str, Any]:
    """What is read from where.

    The operator owns the Secret of the same name, and keeps it when the store no longer has an
    entry.
    """
    data = [
        {
            "secretKey": key,
            "remoteRef": {
                **remote.model_dump(exclude_none=True),
                # The defaults, said for the same reason as in claim templates.
                "conversionStrategy": "Default",
                "decodingStrategy": "None",
                "metadataPolicy": "None",
            },
        }
        for key, remote in sorted(keys.items())
    ]
    return {
        "refreshInterval": store.refresh_interval,
        "secretStoreRef": {"kind": store.kind.value, "name": store.name},
        "target": {"creationPolicy": "Owner", "deletionPolicy": "Retain"},
        "data": data,
    }


def required_crds(
    name: str, settings: SecretSettings, parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """What the cluster must know before an ExternalSecret is made; see `required_crd`."""
    if settings.store is None:
        return []
    return required_crd(f"{name}-crd-needed-unless-ado:secrets.store-is-removed", CRD, parent)
