"""The one exception of the commands."""

from __future__ import annotations


class OpsError(Exception):
    """Something the operator can act on; printed as its message alone, exit code 1."""
