"""The bare program: every resource of a stack, without the components that make them.

What it registers is in `resources.json` beside it.
"""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pulumi


def register(resource: dict[str, Any], after: list[pulumi.Resource]) -> pulumi.Resource:
    """Registers one."""
    its_class = getattr(import_module(resource["module"]), resource["class"])
    opts = pulumi.ResourceOptions(depends_on=after)
    made: pulumi.Resource = its_class(resource["name"], **resource["arguments"], opts=opts)
    return made


# The Namespace, which everything else is in, comes first.
first, *others = json.loads(Path(__file__).with_name("resources.json").read_text())
namespace = register(first, [])
for other in others:
    register(other, [namespace])
