"""Where PostgreSQL's Services lead is said by its record alone, whatever Pulumi does to them."""

from __future__ import annotations

import json
import os
from unittest import mock

from tests.cluster.deployment import NAMESPACE
from tests.cluster.pair import STATE, Pair, pod
from tests.support.recording import ROOT

SERVICES = ("postgresql", "postgresql-ro")
POD_LABEL = "statefulset.kubernetes.io/pod-name"
CHANGED = """
import pulumi

def changed(args):
    if args.type_ == "kubernetes:core/v1:Service" and "-postgres-" in args.name:
        {change}
        return pulumi.ResourceTransformationResult(args.props, args.opts)

pulumi.runtime.register_stack_transformation(changed)
"""
RELABELLED = CHANGED.format(change='args.props["metadata"].labels["example.com/team"] = "data"')
FORMER = CHANGED.format(
    change=f"""
        ordinal = {{"primary": 0, "replica": 1}}.get(args.name.rpartition("-")[2])
        if ordinal is None:
            return None
        args.props["spec"].selector = {{
            "app": "postgresql", "{POD_LABEL}": f"postgresql-{{ordinal}}"
        }}
        args.opts.ignore_changes = []
"""
)
"""As it was until there was a record: the program says where they lead."""


def test_the_services_lead_where_the_record_says_whatever_pulumi_does(pair: Pair) -> None:
    pair.led_by(0)
    before = services(pair)
    # Upgraded from the program that led them itself.
    with mock.patch.dict(os.environ, {"PULUMI_K8S_ENABLE_PATCH_FORCE": "true"}):
        deployed(pair, FORMER)
    assert led(pair) == (0, 1)
    deployed(pair)
    assert led(pair) == (0, 1)

    pair.fail_over()
    assert led(pair) == (1, 0)
    # Without force, as the Job applies it, nobody says another primary than an operator has.
    assert ".data.primary" in pair.deployment.conflicts(record(0))
    assert ".data.primary" not in pair.deployment.conflicts(record(1))
    pair.did("fence", pod(0))
    deployed(pair, RELABELLED)  # of a pod that is not Ready nothing is awaited
    pair.did("unfence", pod(0))
    pair.healthy()
    assert led(pair) == (1, 0)
    assert {name: found["uid"] for name, found in services(pair).items()} == {
        name: found["uid"] for name, found in before.items()
    }
    plan = pair.deployment.engine().preview()  # looks at the cluster first
    assert (plan.errors, plan.touched) == ([], {})

    pair.deployment.kubectl("delete", "service", "postgresql", "-n", NAMESPACE)
    deployed(pair)
    assert led(pair)[0] is None
    found = pair.ops("status")
    assert found.returncode == 3
    remedy = f"`ado-ops postgres promote {pod(1)}`"
    assert f"Service postgresql does not lead to {pod(1)}: {remedy}" in found.stdout
    pair.did("promote", pod(1))
    assert led(pair) == (1, 0)
    assert pair.kept()
    pair.healthy()
    pair.led_by(0)


def deployed(pair: Pair, change: str = "") -> None:
    """An `up` of the committed stack by a changed program."""
    pair.deployment.write()
    program = (ROOT / "__main__.py").read_text()
    (pair.deployment.directory / "__main__.py").write_text(change + program)
    outcome = pair.deployment.engine().up()
    assert outcome.succeeded, outcome.errors


def record(primary: int) -> dict[str, object]:
    """The record as the Job applies it."""
    metadata = {"name": STATE, "namespace": NAMESPACE}
    data = {"initialised": "true", "primary": str(primary)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def services(pair: Pair) -> dict[str, dict[str, object]]:
    """What there is of both: uid, and selector."""
    listed = pair.deployment.kubectl("get", "service", *SERVICES, "-n", NAMESPACE, "-o", "json")
    return {
        item["metadata"]["name"]: {
            "uid": item["metadata"]["uid"],
            "pod": item["spec"]["selector"][POD_LABEL],
        }
        for item in json.loads(listed)["items"]
    }


def led(pair: Pair) -> tuple[int | None, ...]:
    """The ordinal of the pod that each leads to, or None."""
    ordinals = {pod(ordinal): ordinal for ordinal in (0, 1)}
    found = services(pair)
    return tuple(ordinals.get(str(found[name]["pod"])) for name in SERVICES)
