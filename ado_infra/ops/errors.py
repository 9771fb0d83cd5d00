"""How the operator's commands end early."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager


class OpsError(Exception):
    """Something the operator can act on; printed as its message alone, exit code 1."""


@contextmanager
def begun() -> Generator[None]:
    """Has Ctrl-C say that the same command goes on: something may be changed already."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command goes on from here") from None
