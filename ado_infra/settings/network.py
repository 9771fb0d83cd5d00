"""The section of how pods reach what is outside the cluster."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import StringConstraints, model_validator

from ado_infra.kit.spec import Spec
from ado_infra.kit.values import DnsName, HttpUrl, SecretDataKey

Reached = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*.:/_-]{1,253}$")]
"""A name, a domain with a dot before it, an address, or a range of these."""


class ProxySettings(Spec):
    """The proxy that pods reach the world through."""

    https: HttpUrl | None = None
    """URL of the proxy for `https://`; one with a user and a password see `own-cluster.md`."""
    http: HttpUrl | None = None
    """URL of the proxy for `http://`."""
    # Not `no`, which is `false` to many who read YAML.
    bypass: tuple[Reached, ...] = ()
    """What is reached without, beside what is in the cluster: names, domains, addresses, ranges."""

    @model_validator(mode="after")
    def _something_to_bypass(self) -> Self:
        if self.bypass and not (self.https or self.http):
            raise ValueError("has bypass, and neither https nor http to do without; remove it")
        return self


class CaBundle(Spec):
    """Certificates of all the authorities that pods trust."""

    config_map: DnsName
    """Name of an existing ConfigMap in the platform's namespace."""
    key: SecretDataKey = "ca.crt"
    """Its key with the certificates in PEM, those of public authorities too if they are needed."""


class NetworkSettings(Spec):
    """How pods reach what is outside the cluster: those of tiers, stores and Jobs."""

    proxy: ProxySettings = ProxySettings()
    """The proxy that they go through; none when not given."""
    ca_bundle: CaBundle | None = None
    """Whose certificates they trust; what their images bring when not given."""
