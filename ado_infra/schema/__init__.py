"""What a stack may say, told to people: the JSON Schema of a stack file, and a page.

Both are made from `ado_infra.settings` and its docstrings. `make settings` writes them to
docs/settings.schema.json and docs/settings.md; nothing here runs in a deployment.
"""

from ado_infra.schema.page import page
from ado_infra.schema.stack_file import as_text, stack_schema

__all__ = ["as_text", "page", "stack_schema"]
