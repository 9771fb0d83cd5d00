"""Whether a program answers, asked inside its network namespace."""

from __future__ import annotations

import http.client
import socket
import ssl
from urllib.parse import urlsplit

from sandbox.host import network

TIMEOUT = 2.0


def answers(url: str, namespace: str | None) -> bool:
    """Whether the address answers: HTTP with 200, TCP and UNIX sockets by accepting.

    Certificates are not verified: no more is asked than whether something is there.
    """
    parts = urlsplit(url)
    try:
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as unix:
                unix.settimeout(TIMEOUT)
                unix.connect(parts.path)
            return True
        if parts.scheme == "tcp":
            with network.inside(namespace):
                address = (parts.hostname or "", parts.port or 0)
                socket.create_connection(address, TIMEOUT).close()
            return True
        return _get(url, namespace)[0] == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def text(url: str, namespace: str | None) -> str:
    """What `https://HOST:PORT/PATH` or `http://...` says; nothing when it does not answer."""
    try:
        return _get(url, namespace)[1]
    except (OSError, http.client.HTTPException):
        return ""


def _get(url: str, namespace: str | None) -> tuple[int, str]:
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.netloc, timeout=TIMEOUT, context=context
        )
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT)
    with network.inside(namespace):
        connection.connect()  # a socket belongs to the namespace in which it was made
    try:
        connection.request("GET", parts.path or "/")
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()
