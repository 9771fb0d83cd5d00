"""A thin client of the API server: requests, discovery on demand, watches.

The official client's loader reads the kubeconfig and opens the connection pool; its models and its
dynamic client are not used, because reading every API group at each start would take longer than
the rest of a preview. Not covered: in-cluster configuration (there is always a kubeconfig).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

from sandbox.plugins.provider import ProviderError

if TYPE_CHECKING:
    import urllib3
    from kubernetes.client import ApiClient

Object = dict[str, Any]
Warn = Callable[[str], None]
# Every wait holds a connection of its own.
_CONNECTIONS = 256
_CONNECT_SECONDS = 10.0
# Longer than any watch is asked to be: silence beyond it is a connection that died unnoticed.
_SILENCE_SECONDS = 60.0


class ApiError(ProviderError):
    """The API server refused a request."""

    def __init__(
        self, status: int, message: str, reason: str = "", causes: Sequence[Object] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.causes = causes


class UnknownKindError(ProviderError):
    """The API server serves no such kind (yet)."""


@dataclass(frozen=True)
class Kind:
    """Where the API server keeps the objects of one kind."""

    api_version: str
    plural: str
    namespaced: bool

    def path(self, namespace: str = "", name: str = "") -> str:
        """The path of an object, or of its collection without a name."""
        root = "/apis" if "/" in self.api_version else "/api"
        parts = [root, self.api_version]
        if self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts += [self.plural, *([quote(name, safe="")] if name else [])]
        return "/".join(parts)


class Cluster:
    """One API server, by kubeconfig. Safe for use from many threads."""

    def __init__(self, kubeconfig: str = "", context: str = "") -> None:
        """Reads nothing yet: a provider is configured before anybody asks for the cluster."""
        self._kubeconfig = kubeconfig
        self._context = context
        self._kinds: dict[str, dict[str, Kind]] = {}
        self._lock = threading.Lock()
        self._discovery = threading.Lock()
        self._watches: set[urllib3.BaseHTTPResponse] = set()

    def get(self, path: str, **query: str) -> Object | None:
        """The object at the path, or None when there is none."""
        try:
            return _answer(self._send("GET", path, query))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str, **query: str) -> list[Object]:
        """The objects of a collection."""
        return self._list(path, query)[0]

    def apply(self, path: str, body: Object, query: Mapping[str, str], warn: Warn) -> Object:
        """Server-side apply; `warn` receives the API server's warnings."""
        response = self._send("PATCH", path, query, body, "application/apply-patch+yaml")
        for line in response.headers.getlist("Warning"):
            warn(_warning_text(line))
        return _answer(response)

    def delete(self, path: str, propagation: str) -> None:
        """Asks for deletion; raises ApiError 404 when there is nothing."""
        _answer(self._send("DELETE", path, {}, {"propagationPolicy": propagation}))

    def follow(self, path: str, seconds: int, **query: str) -> Iterator[tuple[str, Object]]:
        """The objects of a collection, then every change to them, as (event type, object).

        Never older than the last write. Ends after so many seconds, or early when the connection is
        lost or `interrupt` is called.
        """
        items, version = self._list(path, query)
        yield from (("ADDED", item) for item in items)
        yield from self._watch(path, query, version, seconds)

    def until_empty(self, path: str, seconds: int, **query: str) -> bool:
        """Whether a collection of at most one object is empty, or becomes so in time."""
        items, version = self._list(path, query)
        events = self._watch(path, query, version, seconds) if items else ()
        return not items or any(event == "DELETED" for event, _ in events)

    def interrupt(self) -> None:
        """Ends every watch under way."""
        with self._lock:
            for response in self._watches:
                response.shutdown()

    def kind(self, api_version: str, kind: str) -> Kind:
        """Where a kind is kept; raises UnknownKindError.

        A kind that is missing is asked for again each time: its definition may just have been made.
        """
        with self._discovery:  # many resources start at once, and ask for the same few groups
            found = self._kinds.get(api_version, {}).get(kind)
            if found:
                return found
            kinds = self._kinds[api_version] = self._discover(api_version)
        try:
            return kinds[kind]
        except KeyError:
            raise UnknownKindError(
                f"The API server knows no {kind} of {api_version}. "
                "Was its CustomResourceDefinition created?"
            ) from None

    @cached_property
    def default_namespace(self) -> str:
        """The namespace of the kubeconfig's context; `default` when it names none."""
        contexts, current = self._load_contexts()
        wanted = self._context or current
        for entry in contexts:
            if entry["name"] == wanted:
                return str((entry.get("context") or {}).get("namespace") or "default")
        return "default"

    def _load_contexts(self) -> tuple[list[Object], str]:
        if self._contents is not None:
            return self._contents.get("contexts") or [], self._contents.get("current-context", "")
        from kubernetes.config import ConfigException, list_kube_config_contexts  # noqa: PLC0415

        try:
            contexts, current = list_kube_config_contexts(self._kubeconfig or None)
        except ConfigException as error:
            raise _no_kubeconfig(error) from None
        return cast("list[Object]", contexts), current["name"]

    @cached_property
    def _contents(self) -> Object | None:
        """The kubeconfig itself, when the setting holds it instead of a path."""
        if "\n" not in self._kubeconfig and not self._kubeconfig.lstrip().startswith("{"):
            return None
        import yaml  # noqa: PLC0415 - loaded with the client

        try:
            contents = yaml.safe_load(self._kubeconfig)
        except yaml.YAMLError:  # its text could quote a credential
            contents = None
        if not isinstance(contents, dict):
            raise ProviderError("kubernetes:kubeconfig holds neither a path nor a kubeconfig.")
        return contents

    @cached_property
    def _client(self) -> ApiClient:
        """The official client; loaded late, because it takes longest to import."""
        import urllib3  # noqa: PLC0415
        from kubernetes.client import Configuration  # noqa: PLC0415
        from kubernetes.config import (  # noqa: PLC0415
            ConfigException,
            new_client_from_config,
            new_client_from_config_dict,
        )

        # Only when the kubeconfig itself says that the certificate is not to be verified.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        configuration = Configuration()
        configuration.connection_pool_maxsize = _CONNECTIONS
        options: Object = {
            "context": self._context or None,
            "client_configuration": configuration,
        }
        try:
            if self._contents is not None:
                return new_client_from_config_dict(self._contents, **options)
            return new_client_from_config(self._kubeconfig or None, **options)
        except ConfigException as error:
            raise _no_kubeconfig(error) from None

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Object | None = None,
        content_type: str = "application/json",
        *,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        import urllib3  # noqa: PLC0415

        with self._lock:
            client = self._client
        configuration = client.configuration
        headers = {"Accept": "application/json", "Content-Type": content_type}
        token = configuration.get_api_key_with_prefix("BearerToken", "authorization")
        basic = configuration.get_basic_auth_token() if configuration.username else None
        if authorization := token or basic:
            headers["Authorization"] = authorization
        url = f"{configuration.host}{path}?{urlencode(query)}"
        try:
            response: urllib3.BaseHTTPResponse = client.rest_client.pool_manager.request(
                method,
                url,
                headers=headers,
                body=None if body is None else json.dumps(body),
                preload_content=not stream,
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_SILENCE_SECONDS),
            )
        except urllib3.exceptions.HTTPError as error:
            # The URL holds no secret; the body, which may, is not part of the message.
            raise ProviderError(
                f"The Kubernetes API server at {configuration.host} does not answer "
                f"({type(error).__name__}). Is the cluster up, and is KUBECONFIG the right one?"
            ) from None
        return response

    def _list(self, path: str, query: Mapping[str, str]) -> tuple[list[Object], str]:
        listed = _answer(self._send("GET", path, query))
        # A list does not repeat in each item what it says of itself.
        own = {
            "apiVersion": listed["apiVersion"],
            "kind": listed["kind"].removesuffix("List"),
        }
        items = [own | item for item in listed.get("items") or []]
        return items, listed["metadata"]["resourceVersion"]

    def _watch(
        self, path: str, query: Mapping[str, str], version: str, seconds: int
    ) -> Iterator[tuple[str, Object]]:
        import urllib3  # noqa: PLC0415

        watch = {"watch": "1", "timeoutSeconds": str(seconds), "resourceVersion": version}
        response = self._send("GET", path, {**query, **watch}, stream=True)
        if response.status >= 400:
            raise _api_error(response.status, response.read())
        with self._lock:
            self._watches.add(response)
        try:
            for line in _lines(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield event["type"], event["object"]
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            return
        finally:
            with self._lock:
                self._watches.discard(response)
            response.close()

    def _discover(self, api_version: str) -> dict[str, Kind]:
        root = "/apis" if "/" in api_version else "/api"
        found = self.get(f"{root}/{api_version}") or {}
        return {
            entry["kind"]: Kind(api_version, entry["name"], entry["namespaced"])
            for entry in found.get("resources", [])
            if "/" not in entry["name"]  # subresources
        }


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The lines of a stream, each as soon as it is complete."""
    rest = b""
    for chunk in response.stream(None):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)


def _answer(response: urllib3.BaseHTTPResponse) -> Object:
    if response.status >= 400:
        raise _api_error(response.status, response.data)
    return cast("Object", json.loads(response.data))


def _api_error(status: int, data: bytes) -> ApiError:
    try:
        answer = json.loads(data)
    except ValueError:
        return ApiError(status, f"HTTP {status}: {data[:300].decode(errors='replace')}")
    causes = (answer.get("details") or {}).get("causes") or []
    return ApiError(
        status, answer.get("message", f"HTTP {status}"), answer.get("reason", ""), causes
    )


def _warning_text(header: str) -> str:
    """The text of `299 - "text"`, in which quotes are escaped."""
    text = header.partition('"')[2].rpartition('"')[0] or header
    return text.replace('\\"', '"')


def _no_kubeconfig(error: Exception) -> ProviderError:
    why = str(error).rstrip(".")
    return ProviderError(f"No usable kubeconfig: {why}. Set KUBECONFIG, or kubernetes:kubeconfig.")
