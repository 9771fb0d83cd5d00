"""The Secret that images are pulled with, where a stack gives a registry's user and password."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import pulumi

from ado_infra.kit.published import publish_secret
from ado_infra.secrets import Secret, one_line
from ado_infra.site import Site

NAME: Final = "ado-registry"
_TYPE: Final = "kubernetes.io/dockerconfigjson"
_KEY: Final = ".dockerconfigjson"


@dataclass(frozen=True, kw_only=True)
class RegistryCredentials:
    """Who pulls images, and from where.

    Attributes:
        host: The registry's host, as a Docker configuration names it.
        user: The user's name.
        password: Password or token.
    """

    host: str
    user: str
    password: Secret


def registry_secret(
    name: str, site: Site, credentials: RegistryCredentials, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """Makes Secret `ado-registry` and says its name, once it is there.

    Beside the configuration it has the `password` alone, for whoever makes a lost state anew.
    No pod rolls when that changes: the kubelet reads it with each pull.
    """
    password = one_line(name, credentials.password)

    def configuration(text: str) -> str:
        entry = {"username": credentials.user, "password": text}
        return json.dumps({"auths": {credentials.host: entry}})

    return publish_secret(
        name,
        site.metadata("registry", NAME),
        {_KEY: password.apply(configuration), "password": password},
        opts,
        digest_key=site.digest_key,
        secret_type=_TYPE,
    ).name
