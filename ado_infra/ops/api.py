"""What the API server answers, in the commands' terms."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeAlias

from kubernetes import client

from ado_infra.ops.errors import OpsError

Model: TypeAlias = Any
"""What the untyped client returns."""


@contextmanager
def unless_changed(name: str) -> Generator[None]:
    """Raises OpsError when an object is no longer what a change of it was decided on."""
    try:
        yield
    except client.ApiException as error:
        if error.status == HTTPStatus.CONFLICT:
            raise OpsError(
                f"Somebody else has just changed {name}, and it was left so: type the same command "
                "again."
            ) from None
        raise


def unless_missing(call: Callable[[], Model]) -> Model | None:
    """What a call returns, or None where its object is not there.

    Raises OpsError when the API server refuses it.
    """
    try:
        return call()
    except client.ApiException as error:
        # Conflict: the pod of that uid is gone, and another has its name.
        if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
            return None
        raise OpsError(f"The API server refuses: {error.status} {error.reason}") from None
