"""Digests of what pods read: written on the pod template, they make a change roll the pods.

A ConfigMap's digest is a plain SHA-256. A Secret's is an HMAC-SHA256 under a key of the stack's
own: without that key nobody can test a guess of the value against the annotation, so the digest
itself may be public, and a preview stays readable.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

import pulumi


def config_digest(data: Mapping[str, str]) -> str:
    """SHA-256 of a ConfigMap's data, in hex; independent of the order of the keys."""
    return hashlib.sha256(_canonical(data)).hexdigest()


def secret_digest(
    key: pulumi.Input[str], data: Mapping[str, pulumi.Input[str]]
) -> pulumi.Output[str]:
    """HMAC-SHA256 of a Secret's data, or of the part that is read, as a public hex Output.

    `key` is in hex.
    """
    digest = pulumi.Output.all(key, dict(data)).apply(lambda both: _hmac(both[0], both[1]))
    return pulumi.Output.unsecret(digest)


def _hmac(key: str, data: Mapping[str, str]) -> str:
    return hmac.new(bytes.fromhex(key), _canonical(data), hashlib.sha256).hexdigest()


def _canonical(data: Mapping[str, str]) -> bytes:
    return json.dumps(data, sort_keys=True, ensure_ascii=False).encode()
