"""Objects of any kind as they live in the cluster: manifests, as the API server has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import urlencode

from kubernetes import client

Document: TypeAlias = dict[str, Any]
"""A manifest, or a part of a state or of a stack file."""


class LivingObjects:
    """Reads them; what the cluster has no kind for is not there."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    def read(self, api_version: str, kind: str, identifier: str) -> Document | None:
        """An object, by the provider's id (`namespace/name`, or `name`)."""
        namespace, _, name = identifier.rpartition("/")
        collection = self._collection(api_version, kind, namespace)
        return self._get(f"{collection}/{name}") if collection else None

    def listed(self, api_version: str, kind: str, namespace: str, selector: str) -> list[Document]:
        """All of a kind in a namespace whose labels are selected."""
        collection = self._collection(api_version, kind, namespace)
        if not collection:
            return []
        found = self._get(f"{collection}?{urlencode({'labelSelector': selector})}") or {}
        items: list[Document] = found.get("items") or []
        return items

    def _collection(self, api_version: str, kind: str, namespace: str) -> str:
        """The path of all objects of a kind; empty where the cluster has no such kind."""
        group = f"/{'apis' if '/' in api_version else 'api'}/{api_version}"
        plural = self._plurals_of(group).get(kind)
        within = f"/namespaces/{namespace}" if namespace else ""
        return f"{group}{within}/{plural}" if plural else ""

    def _plurals_of(self, group: str) -> Mapping[str, str]:
        """Kind → how its paths name it, without parts such as `deployments/scale`."""
        if group not in self._plurals:
            known = (self._get(group) or {}).get("resources") or ()
            self._plurals[group] = {e["kind"]: e["name"] for e in known if "/" not in e["name"]}
        return self._plurals[group]

    @cached_property
    def _plurals(self) -> dict[str, Mapping[str, str]]:
        return {}

    def _get(self, path: str) -> Document | None:
        asked = self._api.param_serialize("GET", path, auth_settings=["BearerToken"])
        answer: Any = self._api.call_api(*asked)
        answer.read()
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if answer.status != HTTPStatus.OK:
            raise client.ApiException(status=answer.status, reason=f"{answer.reason}: {path}")
        found: Document = json.loads(answer.data)
        return found
