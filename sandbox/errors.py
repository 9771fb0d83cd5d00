"""The one exception of the sandbox."""

from __future__ import annotations


class SandboxError(Exception):
    """Something the user can act on; printed as its message alone, exit code 1."""
