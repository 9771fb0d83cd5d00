"""Whose platform it is: the mark that a program leaves in its namespace, for who asks there later.

It is on a ConfigMap that an operator of the namespace alone may read. The organisation is no part
of it: the same stack has another one in another backend.
"""

from typing import Final

CONFIG_MAP: Final = "ado-config"
"""What carries the mark: the applications' configuration."""
STACK: Final = "ado.ops/stack"
"""The annotation that is the mark."""


def mark(project: str, stack: str) -> str:
    """Its value."""
    return f"{project}/{stack}"
