"""Another password for the applications' role, without an hour when nobody can connect.

The role first, then the Secrets, then whoever read them when it started. From the first to the last
of these, new connections with the former password are refused; those that are open go on. Cut off
in between, the same command finishes, with yet another password where none was given.

The values in the Secrets belong to field manager `ado-ops` from then on: a stack that says another
password is refused as a conflict, and does not undo the rotation.

Where the password is in a Secret of others, they change it there, and the role and the readers are
made to follow; nothing is written to that Secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import string
import time
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Model, Namespace, Say, settled, wait_until
from ado_infra.ops.postgres.pair import NAME, Member, look, pod_name, read_record

URLS: Final = "ado-secrets"
URL: Final = "database-url"
PASSWORD: Final = "password"  # noqa: S105 - the key, not the password
_BORROWED: Final = ("DATABASE_PASSWORD", f"$(DATABASE_PASSWORD)@{NAME}:")
"""The variable with a password from a Secret of others, and how the URL has it in its middle."""
LENGTH: Final = 32
ITERATIONS: Final = 4096
"""PostgreSQL's own (`scram_iterations`)."""
ROLLOUT: Final = 900.0
"""Seconds within which readers must be new and Ready."""
_RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"
_ALTER: Final = """IFS= read -r verifier && psql --no-psqlrc --quiet --host "$SOCKET" \
--username postgres --dbname postgres --set ON_ERROR_STOP=1 <<SQL
SET log_min_error_statement = panic;
SET log_statement = 'none';
ALTER ROLE ado PASSWORD '$verifier';
SQL
"""

# A file of the Secret would be up to a minute late.
_LOGIN: Final = """IFS= read -r PGPASSWORD && export PGPASSWORD && psql --no-psqlrc --no-password \
--host 127.0.0.1 --username ado --dbname ado --command 'SELECT 1' 2>&1 || true"""


def rotate(namespace: Namespace, say: Say, password: str | None = None) -> float:
    """Gives role `ado` a password, made anew unless it is given, and everybody who reads it.

    Where it is in a Secret of others, role and readers are given what that has. Returns for how
    many seconds some connection may have been refused.

    Raises OpsError when there is no primary, when somebody else changes a Secret meanwhile, when
    a password is given that others keep or theirs fits into no URL, or when readers do not become
    Ready.
    """
    primary = read_record(namespace).primary
    if look(namespace, primary).server != "primary":
        raise OpsError(
            f"{pod_name(primary)} does not run as the primary; see `ado-ops postgres status`."
        )
    if theirs := elsewhere(namespace.deployments()):
        return _follow(namespace, say, primary, theirs, password)
    former, url = namespace.secret(NAME, PASSWORD), namespace.secret(URLS, URL)
    password = password or _made()
    began = time.monotonic()
    _alter(namespace, say, primary, password)
    try:
        namespace.patch_secret(NAME, {PASSWORD: password}, version=former.version)
    except OpsError as refused:
        raise OpsError(f"{refused} Until then role ado refuses new connections.") from None
    namespace.poke(pod_name(primary))  # its next start sets what its file says
    changed = with_password(url.value, password)
    namespace.patch_secret(URLS, {URL: changed}, version=url.version)
    say(f"Secrets {NAME} and {URLS} have it too")
    _roll(namespace, say)
    return time.monotonic() - began


def _follow(
    namespace: Namespace, say: Say, primary: int, theirs: tuple[str, str], password: str | None
) -> float:
    """Gives role `ado` and its readers the password that a Secret of others has."""
    secret, key = theirs
    if password is not None:
        raise OpsError(
            f"The password is in Secret {secret}, key {key}, which others keep: change it there, "
            "then `ado-ops postgres rotate` without --stdin."
        )
    password = namespace.secret(secret, key).value
    if not password or quote(password, safe="") != password:
        raise OpsError(
            f"Secret {secret}, key {key}, has no password of letters, digits and -._~ alone, and "
            "it goes into a URL as it is: change it there, then `ado-ops postgres rotate`."
        )
    began = time.monotonic()
    _alter(namespace, say, primary, password)
    namespace.poke(pod_name(primary))  # its next start sets what its file says
    _roll(namespace, say)
    return time.monotonic() - began


def _alter(namespace: Namespace, say: Say, primary: int, password: str) -> None:
    alter = ("/bin/sh", "-c", _ALTER)
    namespace.run(pod_name(primary), alter, given=scram(password), changes=True)
    say("role ado has a new password")


def _roll(namespace: Namespace, say: Say) -> None:
    """Rolls the readers, and waits for them."""
    for reader in readers(namespace.deployments()):
        say(f"rolling {reader}")
        namespace.restart(reader, _RESTARTED)
    if not wait_until(lambda: not _unsettled(namespace), ROLLOUT):
        waiting = ", ".join(d.metadata.name for d in _unsettled(namespace))
        raise OpsError(f"Not Ready with the new password: {waiting}. The same command goes on.")


def findings(namespace: Namespace, leader: Member) -> Iterator[str]:
    """What a rotation that was cut off has left; nothing when all is well."""
    if leader.server != "primary":
        return
    try:
        theirs = elsewhere(namespace.deployments())
        secret, key = theirs or (NAME, PASSWORD)
        password = namespace.secret(secret, key).value
        url = None if theirs else namespace.secret(URLS, URL).value
        said = namespace.run(leader.name, ("/bin/sh", "-c", _LOGIN), given=password)
    except OpsError as unknown:
        yield f"Nobody can tell whether role ado is let in: {unknown}"
        return
    if "password authentication failed" in said:
        yield (
            f"Secret {secret} has a password that role ado is refused with: `ado-ops postgres "
            "rotate`."
        )
    if url is not None and with_password(url, password) != url:
        yield (f"Secret {URLS} has another password than Secret {NAME}: `ado-ops postgres rotate`.")
    if late := _late(namespace):
        yield (
            f"Started before the password was changed: {', '.join(late)}: `ado-ops postgres "
            "rotate`."
        )


def _late(namespace: Namespace) -> list[str]:
    """The readers with pods that are older than what they read."""
    changed = namespace.secret_changed(URLS)
    if changed is None:
        return []
    found = namespace.deployments()
    names = set(readers(found))
    return [
        deployment.metadata.name
        for deployment in found
        if deployment.metadata.name in names
        and any(
            pod.metadata.creation_timestamp < changed
            for pod in namespace.pods_of_deployment(deployment)
        )
    ]


def accepted(text: str, what: str = "password") -> str:
    """The password, or what it is else, in what somebody has piped in or typed.

    Raises OpsError, without what that was, unless it is one line of printable ASCII characters.
    """
    password = text.removesuffix("\n")
    if not password:
        raise OpsError(f"Standard input is empty; it should be the {what}.")
    if not (password.isascii() and password.isprintable()):
        raise OpsError(f"The {what} must be one line of printable ASCII characters.")
    return password


def scram(password: str, salt: bytes | None = None) -> str:
    """What PostgreSQL keeps of a password: whoever reads it cannot connect with it.

    RFC 5802 and postgresql.org, "pg_authid"; for passwords of ASCII characters.
    """
    salt = salt or os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"


def with_password(url: str, password: str) -> str:
    """The same URL with another password."""
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{quote(password, safe='')}@{where}"))


def readers(deployments: Sequence[Model]) -> list[str]:
    """The Deployments whose containers are given the URL, or the password that is put into it."""
    return [
        deployment.metadata.name
        for deployment in deployments
        if (URLS, URL) in set(given(deployment)) or _borrowed(deployment)
    ]


def elsewhere(deployments: Sequence[Model]) -> tuple[str, str] | None:
    """Secret of others and its key that has the password; None where that is the platform's own."""
    return next(filter(None, map(_borrowed, deployments)), None)


def _borrowed(deployment: Model) -> tuple[str, str] | None:
    variable, inside = _BORROWED
    for container in deployment.spec.template.spec.containers:
        variables = {each.name: each for each in container.env or ()}
        if any(inside in (each.value or "") for each in variables.values()):
            reference = variables[variable].value_from.secret_key_ref
            return reference.name, reference.key
    return None


def given(deployment: Model) -> Iterator[tuple[str, str]]:
    """Secret and key of each variable that the containers of a Deployment have from one."""
    for container in deployment.spec.template.spec.containers:
        for variable in container.env or ():
            source = variable.value_from and variable.value_from.secret_key_ref
            if source:
                yield source.name, source.key


def _made() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(LENGTH))


def _unsettled(namespace: Namespace) -> list[Model]:
    found = namespace.deployments()
    names = set(readers(found))
    return [d for d in found if d.metadata.name in names and not settled(d)]
