"""Keys, certificates and kubeconfigs: one authority for the cluster, one for its front proxy."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sandbox.files import write

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

LIFETIME = dt.timedelta(days=3650)


@dataclass(frozen=True)
class Identity:
    """A private key and its certificate, as files."""

    directory: Path

    @property
    def key(self) -> Path:
        """PEM, mode 0600."""
        return self.directory / "tls.key"

    @property
    def certificate(self) -> Path:
        """PEM."""
        return self.directory / "tls.crt"

    @property
    def public_key(self) -> Path:
        """PEM; for what checks signatures without certificates."""
        return self.directory / "tls.pub"


def ensure_authority(directory: Path, name: str) -> Identity:
    """The certificate authority of that name, made when it is missing."""
    return _ensure(directory, name, [], [], None)


def ensure_identity(
    directory: Path,
    authority: Identity,
    name: str,
    *,
    groups: Sequence[str] = (),
    hosts: Sequence[str] = (),
) -> Identity:
    """A key with a certificate for clients and servers, made when it is missing.

    `name` and `groups` are what Kubernetes takes as user and groups; `hosts` are the DNS names
    and IP addresses of a server.
    """
    return _ensure(directory, name, groups, hosts, authority)


def write_kubeconfig(
    path: Path, *, server: str, authority: Identity, user: Identity, context: str
) -> None:
    """Write a kubeconfig that needs no other file; mode 0600."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": context,
                "cluster": {
                    "server": server,
                    "certificate-authority-data": _base64(authority.certificate),
                },
            }
        ],
        "users": [
            {
                "name": context,
                "user": {
                    "client-certificate-data": _base64(user.certificate),
                    "client-key-data": _base64(user.key),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "current-context": context,
    }
    content = json.dumps(document, indent=2)  # JSON is YAML
    if not path.exists() or path.read_text() != content:
        write(path, content)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _ensure(
    directory: Path,
    name: str,
    groups: Sequence[str],
    hosts: Sequence[str],
    authority: Identity | None,
) -> Identity:
    if not directory.exists():
        # Whole or not at all, or an interrupted start would leave a key without certificate.
        partial = directory.with_name(f".{directory.name}")
        shutil.rmtree(partial, ignore_errors=True)
        _issue(Identity(partial), name, groups, hosts, authority)
        partial.rename(directory)
    return Identity(directory)


def _issue(
    identity: Identity,
    name: str,
    groups: Sequence[str],
    hosts: Sequence[str],
    authority: Identity | None,
) -> None:
    # Imported here: only a sandbox that is new needs it, and it takes a moment to load.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    key = signing_key = ec.generate_private_key(ec.SECP256R1())
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = issuer = x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    if authority:
        issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes()).subject
        loaded = serialization.load_pem_private_key(authority.key.read_bytes(), password=None)
        signing_key = cast("ec.EllipticCurvePrivateKey", loaded)  # as this function writes them
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(authority is None, None), critical=True)
    )
    if authority:
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if hosts:
        names = [
            x509.IPAddress(ipaddress.ip_address(host)) if _is_address(host) else x509.DNSName(host)
            for host in hosts
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(signing_key, hashes.SHA256())

    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    write(identity.key, key.private_bytes(pem, private, serialization.NoEncryption()))
    write(identity.public_key, key.public_key().public_bytes(pem, public), 0o644)
    write(identity.certificate, certificate.public_bytes(pem), 0o644)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
