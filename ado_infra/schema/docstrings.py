"""The docstrings below the fields of a class, read from its source.

Pydantic can do this when a class is made (`use_attribute_docstrings`), but then every deployment
pays for it: some 30 ms at each start.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise


def of_fields(kind: type) -> dict[str, str]:
    """Field → its docstring in one line; a class without one has that of the class above."""
    docstrings: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if each.__module__.partition(".")[0] == __name__.partition(".")[0]:
            docstrings |= _of_module(each.__module__).get(each.__name__, {})
    return docstrings


@cache
def _of_module(name: str) -> Mapping[str, Mapping[str, str]]:
    """Class → field → docstring."""
    parsed = ast.parse(inspect.getsource(sys.modules[name]))
    classes = (node for node in parsed.body if isinstance(node, ast.ClassDef))
    return {each.name: dict(_below_names(each.body)) for each in classes}


def _below_names(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, following in pairwise(body):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, " ".join(text.split())
            case _:
                pass
