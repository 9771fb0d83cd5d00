"""The JSON Schema of the settings' models, with the docstrings of their fields."""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from ado_infra.schema import docstrings


class Described(GenerateJsonSchema):
    """As pydantic makes it, but for what an editor shows, inserts and can check.

    Every field must have a docstring: without one there is a KeyError that names it.
    """

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """With each field's docstring, and the first sentence or so of the model's own."""
        made = super().model_schema(schema)
        model = cast("type[BaseModel]", schema["cls"])
        descriptions = docstrings.of_fields(model)
        for name, field in model.model_fields.items():
            shown = made["properties"][field.alias or name]
            if name not in descriptions:
                raise KeyError(f"{model.__module__}.{model.__name__}.{name} has no docstring")
            shown["description"] = descriptions[name]
        made["description"] = " ".join(made["description"].partition("\n\n")[0].split())
        return made

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002
        """No: it would be the key once more."""
        return False

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """With a rule for the keys: pydantic's own lets pass those that match no pattern."""
        anything = core_schema.any_schema()
        keys = self.generate_inner(schema.get("keys_schema", anything))
        values = self.generate_inner(schema.get("values_schema", anything))
        return {"type": "object", "propertyNames": keys, "additionalProperties": values}

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Without a default that only repeats those of its own fields, or is null."""
        default: Any = schema.get("default")
        if default is None or (isinstance(default, BaseModel) and not default.model_fields_set):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def encode_default(self, dft: Any) -> Any:  # noqa: ANN401 - as pydantic has it
        """A model as a stack file would have it, also one in a list."""
        if isinstance(dft, tuple):
            return [self.encode_default(each) for each in cast("tuple[Any, ...]", dft)]
        if isinstance(dft, BaseModel):
            return dft.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return super().encode_default(dft)
