"""Writing objects: server-side apply under a field manager of the resource's own.

Fields that were applied before and are no longer in the inputs are removed by the API server;
fields of other managers are left alone; a field that both want is an error that names both.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sandbox.plugins.kubernetes.cluster import ApiError, Cluster, Object, UnknownKindError, Warn
from sandbox.plugins.kubernetes.objects import PATCH_FORCE, annotation, id_of, name_of, namespace_of
from sandbox.plugins.provider import ProviderError
from sandbox.plugins.values import Value


class AlreadyExistsError(ProviderError):
    """Something with this name is there, and the stack did not make it."""


class _StillLeavingError(AlreadyExistsError):
    """It is being deleted: there may be room in a moment."""


@dataclass(frozen=True)
class Writer:
    """How to apply: to which cluster, as whom, for real or not."""

    cluster: Cluster
    manager: str
    warn: Warn
    force: bool = False
    """Take over fields that another manager owns, also without the object's annotation."""
    dry_run: bool = False

    def create(self, obj: Object, *, upsert: bool = False) -> Object:
        """The new object; raises AlreadyExistsError unless `upsert`.

        What is being created in parallel (its namespace, its definition), or deleted just now, is
        waited for briefly.
        """
        if self.dry_run:
            return self._create(obj, upsert=upsert)
        return _retrying(lambda: self._create(obj, upsert=upsert))

    def update(self, obj: Object, ignore_changes: Sequence[str] = ()) -> Object:
        """The changed object; raises ProviderError when it is no longer there."""
        path = self.path(obj)
        live = self.cluster.get(path)
        if live is None:
            raise ProviderError(
                f"{obj['kind']} {id_of(obj)} is gone from the cluster. "
                "`pulumi refresh` takes it out of the state; the next `pulumi up` makes it again."
            )
        return self._apply(path, keep_ignored(obj, live, self.manager, ignore_changes))

    def path(self, obj: Object) -> str:
        """Where the object is, or will be."""
        kind = self.cluster.kind(obj["apiVersion"], obj["kind"])
        return kind.path(namespace_of(obj), name_of(obj))

    def _create(self, obj: Object, *, upsert: bool) -> Object:
        path = self.path(obj)
        there = None if upsert else self.cluster.get(path)
        if there and there["metadata"].get("deletionTimestamp"):
            raise _StillLeavingError(
                f"{obj['kind']} {id_of(obj)} is still being deleted; its place is not free yet."
            )
        # Its own manager made it: a creation that was interrupted, and is now brought to its end.
        if there and self.manager not in {entry.get("manager") for entry in _managers(there)}:
            raise AlreadyExistsError(
                f"{obj['kind']} {id_of(obj)} already exists in the cluster and is not part of this "
                "stack: import it, delete it, or give this one another name."
            )
        return self._apply(path, obj)

    def _apply(self, path: str, obj: Object) -> Object:
        query = {"fieldManager": self.manager, "fieldValidation": "Warn"}
        if self.force or annotation(obj, PATCH_FORCE) == "true":
            query["force"] = "true"
        if self.dry_run:
            query["dryRun"] = "All"
        try:
            return self.cluster.apply(path, obj, query, self.warn)
        except ApiError as error:
            if error.status == 409 and error.causes:
                raise _conflict(obj, error) from None
            raise


def keep_ignored(obj: Object, live: Object, manager: str, ignore_changes: Sequence[str]) -> Object:
    """The object with every ignored field as it is: not sent at all where it is another's.

    Paths into lists are sent with their old value, which the engine has already put in place.
    """
    obj = copy.deepcopy(obj)
    for text in ignore_changes:
        keys = text.split(".")
        if "[" in text or not _dig(obj, keys)[0]:
            continue
        found, value = _dig(live, keys)
        parent = _dig(obj, keys[:-1])[1]
        if found and _owns(live, manager, keys):
            parent[keys[-1]] = value
        elif found and _is_managed(live, keys):
            del parent[keys[-1]]
        elif found:
            parent[keys[-1]] = value
    return obj


def _owns(live: Object, manager: str, keys: Sequence[str]) -> bool:
    return any(
        entry.get("manager") == manager and _covers(entry, keys) for entry in _managers(live)
    )


def _is_managed(live: Object, keys: Sequence[str]) -> bool:
    return any(_covers(entry, keys) for entry in _managers(live))


def _managers(live: Object) -> list[Object]:
    return live["metadata"].get("managedFields") or []


def _covers(entry: Object, keys: Sequence[str]) -> bool:
    return _dig(entry.get("fieldsV1") or {}, [f"f:{key}" for key in keys])[0]


def _dig(value: Value, keys: Sequence[str]) -> tuple[bool, Value]:
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return False, None
        value = value[key]
    return True, value


def _conflict(obj: Object, error: ApiError) -> ProviderError:
    lines = [
        f"  {cause.get('field', '?')}: {cause.get('message', 'conflict')}" for cause in error.causes
    ]
    what = f"{obj['kind']} {id_of(obj)}"
    remedy = (
        "Leave the field out of the program, or add it to ignore_changes, "
        f'or take it over with the annotation {PATCH_FORCE}: "true".'
    )
    title = f"{what} was not changed, because other managers own these fields:"
    return ProviderError("\n".join([title, *lines, remedy]))


def _retrying(create: Callable[[], Object]) -> Object:
    from tenacity import (  # noqa: PLC0415 - not on the path of a preview
        Retrying,
        retry_if_exception,
        stop_after_delay,
        wait_exponential,
    )

    retrying = Retrying(
        retry=retry_if_exception(_may_appear),
        wait=wait_exponential(multiplier=0.25, max=2),
        stop=stop_after_delay(10),
        reraise=True,
    )
    return retrying(create)


def _may_appear(error: BaseException) -> bool:
    missing = isinstance(error, ApiError) and error.status == 404
    return missing or isinstance(error, (UnknownKindError, _StillLeavingError))
