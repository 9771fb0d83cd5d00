"""The stack that says every key: none is forgotten, and each file and object of it is right."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
from jsonschema import Draft7Validator

from ado_infra.policies import findings
from ado_infra.render.rendering import render
from ado_infra.schema import stack_schema
from tests.support.every_key import GIVEN, UNSAID, every_key, keys
from tests.support.recording import merged, stack_config
from tests.unit.render.test_render import project

STACK = merged(stack_config("dev"), every_key())


def test_every_key_is_said_or_its_absence_explained() -> None:
    assert keys() - keys({**STACK, **GIVEN}) == UNSAID.keys()


def test_it_keeps_the_schema_and_its_objects_those_of_kubernetes_and_the_policies(
    tmp_path: Path,
) -> None:
    secured = {key: {"secure": "v1:x"} for key in GIVEN}
    file = {"config": {**STACK, **secured}}
    assert [error.message for error in Draft7Validator(stack_schema()).iter_errors(file)] == []
    objects = render(project(tmp_path, stack="dev", config=file["config"]), "dev").objects
    for each in objects:
        if each.kind not in {"ServiceMonitor", "ExternalSecret"}:
            kubernetes_validate.validate(dict(each.manifest), "1.37", strict=True)
    excused = STACK["ado:policies"]["waived"]
    assert findings(objects, production=False, excused=excused) == []
