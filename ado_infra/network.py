"""What pods are told of a proxy and of a private certificate authority: all of them the same."""

from __future__ import annotations

from typing import Final

from ado_infra.kit.pod_options import PodOptions, PodVolume
from ado_infra.settings.network import CaBundle, NetworkSettings, ProxySettings

BUNDLE: Final = "/etc/ado/ca"
"""Where every container has the bundle."""
SERVICES: Final = (
    *("ado-api-gateway", "ado-dashboard", "ado-orchestrator"),
    *("postgresql", "postgresql-headless", "postgresql-ro", "redis", "redis-headless"),
)
"""What pods of the platform reach by names without a dot, which no domain below matches."""
_INSIDE: Final = (
    *("localhost", "127.0.0.1", "::1", ".svc", ".cluster.local"),
    # The kubelet puts in the API server's address, which kubectl and SDKs take from this variable.
    "$(KUBERNETES_SERVICE_HOST)",
)
_TRUSTED_BY: Final = (
    "SSL_CERT_FILE",  # OpenSSL, Go, Python
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
    "PGSSLROOTCERT",
    "RCLONE_CA_CERT",
)
"""The variables that programs find the bundle by."""


def network_options(settings: NetworkSettings) -> PodOptions:
    """The variables and the volume that pods have for it; nothing where nothing is said."""
    return PodOptions(
        env={**_proxy(settings.proxy), **_trust(settings.ca_bundle)},
        volumes=_volumes(settings.ca_bundle),
    )


def _proxy(settings: ProxySettings) -> dict[str, str]:
    """In both spellings: curl reads `http_proxy` in lower case alone, others only the upper."""
    given = {"HTTPS_PROXY": settings.https, "HTTP_PROXY": settings.http}
    told = {name: url for name, url in given.items() if url is not None}
    if not told:
        return {}
    told["NO_PROXY"] = ",".join([*_INSIDE, *SERVICES, *settings.bypass])
    return told | {name.lower(): value for name, value in told.items()}


def _trust(bundle: CaBundle | None) -> dict[str, str]:
    return dict.fromkeys(_TRUSTED_BY, f"{BUNDLE}/{bundle.key}") if bundle else {}


def _volumes(bundle: CaBundle | None) -> tuple[PodVolume, ...]:
    if bundle is None:
        return ()
    # All of it, and no `subPath`: a renewed bundle comes to running pods.
    return (PodVolume(name="ca-bundle", config_map=bundle.config_map, mount_path=BUNDLE),)
