"""What a report is made of: what becomes of objects, what is loud, what rolls, what it takes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from ado_infra.render.objects import RenderedObject
from ado_infra.review.alarms import Gravity
from ado_infra.review.capacity import quantity, total, written
from ado_infra.review.comparison import Comparison, compared
from ado_infra.review.differences import Verdict, fields
from ado_infra.review.immutable import OF_KIND
from ado_infra.review.preview import preview
from ado_infra.review.side import Side
from tests.support.identities import _IMMUTABLE
from tests.unit.review.sides import altered, side, thing, told

BACKUP = {"ado:postgres": {"backup": {"bucket": "ado-backups"}}}
Changing = Callable[[dict[str, Any]], object]


def change(title: str, changing: Changing, **more: Any) -> Comparison:
    """Of one object of dev, and what it means."""
    return compared("dev", side(), altered(side(), title, changing, **more))


def loud(found: Comparison) -> list[tuple[Gravity, str, str]]:
    return [(each.gravity, each.subject, each.words) for each in found.alarms]


def setting(path: str, value: Any) -> Changing:
    def change_it(manifest: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            manifest = manifest[parent]
        manifest[last] = value

    return change_it


@pytest.mark.parametrize(
    ("title", "path", "value", "verdict"),
    [
        ("StatefulSet/redis", "spec.serviceName", "x", Verdict.REPLACED),
        ("StatefulSet/redis", "spec.podManagementPolicy", "OrderedReady", Verdict.REPLACED),
        ("StatefulSet/redis", "spec.replicas", 6, Verdict.CHANGED),
        ("StatefulSet/redis", "spec.template.spec.hostNetwork", True, Verdict.ROLLED),
        ("Service/redis", "spec.clusterIP", "None", Verdict.REPLACED),
        ("Service/redis", "spec.type", "LoadBalancer", Verdict.CHANGED),
        ("Secret/redis", "type", "x/y", Verdict.REPLACED),
        ("Secret/redis", "data", {"k": "bmV3"}, Verdict.CHANGED),
        ("ConfigMap/ado-config", "data", {"k": "new"}, Verdict.CHANGED),
        ("ConfigMap/ado-config", "metadata.namespace", "x", Verdict.REPLACED),
        ("Deployment/ado-worker", "spec.selector.matchLabels.app", "x", Verdict.REPLACED),
        ("Deployment/ado-worker", "metadata.labels.x", "y", Verdict.CHANGED),
        ("RoleBinding/postgresql-state", "roleRef.name", "x", Verdict.REPLACED),
        ("PodDisruptionBudget/redis-pdb", "spec.selector", {}, Verdict.CHANGED),
    ],
)
def test_what_cannot_change_replaces_its_object(
    title: str, path: str, value: Any, verdict: Verdict
) -> None:
    (found,) = change(title, setting(path, value)).changes
    assert (found.title, found.verdict) == (title, verdict)
    if verdict is Verdict.REPLACED:
        assert found.replaced_for[0].startswith(path)


def test_the_table_has_all_that_former_resources_are_held_to() -> None:
    # Of these the API server alone refuses a change, or it is one where the engine has no say.
    others = {("PodDisruptionBudget", "spec.selector"), ("Service", "spec.type")}
    held = {(kind, path) for kind, paths in _IMMUTABLE.items() for path in paths}
    assert held - others <= {(kind, path) for kind, paths in OF_KIND.items() for path in paths}


def test_without_the_flags_a_changed_config_map_is_replaced_and_losing_them_is_loud() -> None:
    given = altered(side(), "ConfigMap/ado-config", setting("data", {"k": "new"}))
    flag = "kubernetes:enableConfigMapMutable"
    without = replace(given, config={k: v for k, v in given.config.items() if k != flag})
    found = compared("dev", side(), without)
    assert [each.verdict for each in found.changes] == [Verdict.REPLACED]
    assert (Gravity.GOES, flag) in [(gravity, subject) for gravity, subject, _ in loud(found)]


def test_another_cluster_is_loud() -> None:
    moved = replace(side(), config={**side().config, "kubernetes:context": "prod"})
    assert loud(compared("dev", side(), moved))[0][:2] == (Gravity.DATA, "kubernetes:context")
    assert "`kubernetes:context` says otherwise" in told(side(), moved)
    assert "- → `prod`" in told(side(), moved)


def _claims(changing: Callable[[dict[str, Any]], object]) -> Changing:
    return lambda manifest: changing(manifest["spec"]["volumeClaimTemplates"][0]["spec"])


@pytest.mark.parametrize(
    ("title", "changing", "gravity", "words"),
    [
        (
            "StatefulSet/redis",
            _claims(lambda claim: claim.update(storageClassName="fast")),
            Gravity.DATA,
            "`pulumi up` refuses others",
        ),
        (
            "StatefulSet/redis",
            _claims(lambda claim: claim["resources"]["requests"].update(storage="512Mi")),
            Gravity.DATA,
            "none shrinks",
        ),
        ("StatefulSet/redis", setting("spec.replicas", 2), Gravity.DATA, "has fewer pods"),
        (
            "StatefulSet/redis",
            setting("spec.persistentVolumeClaimRetentionPolicy", {"whenDeleted": "Delete"}),
            Gravity.DATA,
            "loses its volumes",
        ),
        ("StatefulSet/redis", setting("spec.serviceName", "x"), Gravity.DATA, "its volumes stay"),
        ("StatefulSet/redis", setting("metadata.name", "x"), Gravity.DATA, "is deleted"),
        ("Service/redis", setting("spec.ports", []), Gravity.REACHED, "leads elsewhere"),
        ("Service/redis", setting("spec.type", "NodePort"), Gravity.REACHED, "is opened"),
        ("Service/redis", setting("metadata.name", "x"), Gravity.GOES, "call it by that name"),
        ("Deployment/ado-worker", setting("metadata.name", "x"), Gravity.GOES, "all its pods"),
        ("Namespace/ado-system", setting("metadata.name", "x"), Gravity.DATA, "all that is in it"),
        ("Ingress/ado-ingress", setting("spec.tls", []), Gravity.REACHED, "reached otherwise"),
    ],
)
def test_it_is_loud(title: str, changing: Changing, gravity: Gravity, words: str) -> None:
    found = loud(change(title, changing))
    assert found[0][:2] == (gravity, title)
    assert words in found[0][2]


def test_a_deleted_service_that_nobody_calls_is_no_more_than_deleted() -> None:
    name = "Service/ado-dashboard"
    after = [o for o in side().objects if f"{o.kind}/{o.name}" not in {name, "Ingress/ado-ingress"}]
    found = loud(compared("dev", side(), replace(side(), objects=after)))
    assert (Gravity.GOES, name, "is deleted, and its address with it") in found


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [("spec.suspend", True, "is suspended"), ("spec.schedule", "0 4 * * 0", "is due at other")],
)
def test_a_backup_that_is_not_made_or_at_other_times_is_loud(
    path: str, value: Any, words: str
) -> None:
    after = altered(side(BACKUP), "CronJob/postgresql-backup", setting(path, value))
    ((gravity, _, said),) = loud(compared("dev", side(BACKUP), after))
    assert gravity is Gravity.DATA
    assert words in said


@pytest.mark.parametrize(
    ("title", "changing"),
    [
        ("Deployment/ado-worker", setting("metadata.labels.x", "y")),
        ("Deployment/ado-worker", setting("spec.template.spec.hostname", "x")),
        ("StatefulSet/redis", setting("spec.replicas", 6)),
        ("Service/redis", setting("metadata.labels.x", "y")),
        ("ConfigMap/ado-config", setting("data", {})),
        ("HorizontalPodAutoscaler/ado-worker-hpa", setting("spec.maxReplicas", 9)),
    ],
)
def test_what_is_usual_is_not_loud(title: str, changing: Changing) -> None:
    assert loud(change(title, changing)) == []


def test_a_protected_object_that_goes_is_said_to_be() -> None:
    before = altered(side(), "StatefulSet/redis", lambda _: None, protect=True)
    after = altered(side(), "StatefulSet/redis", setting("spec.serviceName", "x"), protect=True)
    assert "it is protected, so the engine refuses" in loud(compared("dev", before, after))[0][2]


def test_pods_roll_for_what_they_read() -> None:
    found = compared("dev", side(), side({"ado:redis": {"appendfsync": "always"}}))
    ((roll,),) = [[each for each in found.rolls if each.change.kind == "StatefulSet"]]
    assert (roll.change.name, roll.read, roll.fields) == ("redis", ["ConfigMap/redis-config"], [])
    assert str(roll.pods) == "3"


def test_a_job_that_does_something_else_runs_anew_and_is_not_deleted() -> None:
    before, after = (side({"ado:migrations": {"command": [word]}}) for word in ("one", "two"))
    found = compared("dev", before, after)
    assert [(e.kind, e.verdict) for e in found.changes] == [("Job", Verdict.AGAIN)]
    assert loud(found) == []
    assert "| a Job, anew | `containers[" in told(before, after)


def paths(before: Any, after: Any) -> list[str]:
    return [each.path for each in fields(before, after)]


def test_items_of_lists_are_told_apart_by_their_names() -> None:
    one, two = {"name": "a", "v": 1}, {"name": "b", "v": 2}
    assert paths({"l": [one, two]}, {"l": [{"name": "c"}, one, {**two, "v": 3}]}) == [
        "l[b].v",
        "l[c]",
    ]
    assert paths({"l": [one, two]}, {"l": [two, one]}) == ["l"]
    assert paths({"l": [1, 2]}, {"l": [1, 3, 4]}) == ["l[1]", "l[2]"]
    assert paths({"l": [one, one]}, {"l": [one, two]}) == ["l[1].name", "l[1].v"]


def test_true_is_not_one_and_missing_is_not_empty() -> None:
    assert paths({"a": True, "b": {}}, {"a": 1}) == ["a", "b"]
    assert paths({"a": 1, "x/y.z": [2]}, {"a": 1, "x/y.z": []}) == ["[x/y.z][0]"]
    assert paths({"a": None}, {}) == []


def pod(name: str, cpu: str, memory: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "resources": {"requests": {"cpu": cpu, "memory": memory}}, **more}


def workload(kind: str, name: str, spec: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"template": {"spec": spec}, **more},
    }


def test_a_pod_needs_all_its_containers_or_the_greatest_that_runs_first() -> None:
    spec = {
        "containers": [pod("a", "100m", "1Gi"), pod("b", "0.5", "512Mi")],
        "initContainers": [
            pod("first", "2", "64Mi"),
            pod("beside", "150m", "512Mi", restartPolicy="Always"),
        ],
    }
    found = total([workload("Deployment", "d", spec, replicas=3)])
    assert written("CPU requests", found["CPU requests"].minimum) == "6"
    assert written("memory requests", found["memory requests"].minimum) == "6 GiB"
    assert found["CPU limits"].maximum == 0


def test_a_scaled_workload_needs_between_its_bounds() -> None:
    scaler = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "s"},
        "spec": {
            "minReplicas": 2,
            "maxReplicas": 7,
            "scaleTargetRef": {"kind": "Deployment", "name": "d"},
        },
    }
    spec = {"containers": [pod("a", "100m", "1Gi")]}
    found = total([workload("Deployment", "d", spec), scaler])["CPU requests"]
    assert (written("CPU requests", found.minimum), written("CPU requests", found.maximum)) == (
        "0.2",
        "0.7",
    )


def test_volumes_count_for_each_pod() -> None:
    claim = {"spec": {"resources": {"requests": {"storage": "10Gi"}}}}
    found = total(
        [workload("StatefulSet", "s", {"containers": []}, replicas=3, volumeClaimTemplates=[claim])]
    )
    assert written("volumes", found["volumes"].minimum) == "30 GiB"


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1", 1), ("250m", 0.25), ("1Ki", 1024), ("1k", 1000), ("1.5Gi", 1.5 * 2**30), ("2E", 2e18)],
)
def test_quantities(text: str, amount: float) -> None:
    assert float(quantity(text)) == amount


@pytest.mark.parametrize("text", ["", "x", "-1", "1 Gi", None, "1e9999999999", "9" * 400, {}])
def test_what_is_no_quantity_counts_as_none(text: Any) -> None:
    assert quantity(text) == 0


def waiving(**waived: str) -> Side:
    def bare(manifest: dict[str, Any]) -> None:
        manifest["spec"]["template"]["spec"]["containers"][0].pop("livenessProbe")

    given = altered(side(), "Deployment/ado-worker", bare)
    return replace(given, config={**given.config, "ado:policies": json.dumps({"waived": waived})})


def policies(before: Side, after: Side) -> list[str]:
    _, _, told_of_them = told(before, after).partition("**Policies**\n\n")
    return told_of_them.partition("\n\n")[0].splitlines()


def test_a_waiver_is_told_with_its_reason_and_marked_where_it_is_new() -> None:
    finding = "`probes` of `Deployment/ado-worker`: `worker has no livenessProbe; give it one`"
    assert policies(waiving(), waiving(probes="it is\nold")) == [
        "- waived `probes` (**new or reworded**), 1 finding: `it is⏎old`"
    ]
    assert policies(waiving(probes="a"), waiving(probes="b")) == [
        "- waived `probes` (**new or reworded**), 1 finding: `b`"
    ]
    assert policies(waiving(), side()) == [f"- mended, was {finding}"]
    assert policies(waiving(probes="a"), waiving()) == [
        f"- **broken now** {finding}",
        "- no longer waived `probes`",
    ]
    assert policies(waiving(), waiving(probes=" "))[0] == (
        "- **broken now** `probes`: `is waived without a reason; give one`"
    )


@pytest.mark.parametrize("given", ["[", "3", "[]", "{}", '{"waived": 3}', '{"waived": ["a"]}'])
def test_waivers_that_are_none_excuse_nothing(given: str) -> None:
    assert replace(waiving(), config={"ado:policies": given}).waivers == {}


def test_a_finding_that_is_worded_otherwise_stands() -> None:
    prod, tagged = side(stack="prod"), {"ado:gateway": {"image": {"tag": "0.2.0"}}}
    (line,) = policies(prod, side(tagged, stack="prod"))
    assert re.fullmatch(r"- \d+ findings as before", line)


URN = "urn:pulumi:dev::ado::ado:index:AdoPlatform$kubernetes:core/v1:Service::web"


def steps(*operations: str) -> list[tuple[str, str]]:
    inputs = {"kind": "Service", "metadata": {"name": "in-the-cluster"}}
    state = {"inputs": inputs}
    given = [{"op": op, "urn": URN, "oldState": state} for op in operations]
    return [(step.word, step.title) for step in preview({"steps": given}).steps]


def test_the_steps_of_a_replacement_are_one() -> None:
    replaced = [("replaced", "Service/in-the-cluster")]
    assert steps("create-replacement", "replace", "delete-replaced") == replaced
    assert steps("delete-replaced") == replaced
    assert steps("update") == [("changed", "Service/in-the-cluster")]
    assert steps("delete") == [("deleted", "Service/in-the-cluster")]
    assert steps("same") == steps("refresh") == steps("read") == steps("discard") == []


def test_what_a_refresh_misses_is_made_again_and_not_deleted() -> None:
    made_again = [("missing, made again", "Service/in-the-cluster")]
    assert steps("refresh", "create") == steps("delete", "create") == made_again
    assert steps("create") == [("new", "Service/in-the-cluster")]


def test_what_has_another_urn_alone_is_replaced() -> None:
    state = {"inputs": {"kind": "Service", "metadata": {"name": "web"}}}
    given = {
        "steps": [
            {"op": "create", "urn": f"{URN}-renamed", "newState": state},
            {"op": "delete", "urn": URN, "oldState": state},
        ]
    }
    found = preview(given)
    assert [(each.word, each.title) for each in found.steps] == [("replaced", "Service/web")]
    ((gravity, _, words),) = [(a.gravity, a.subject, a.words) for a in found.alarms()]
    assert (gravity, words) == (Gravity.GOES, "is replaced, by the engine's preview")


def test_a_generated_secret_that_is_made_anew_is_data_and_a_restart_is_told() -> None:
    urn = "urn:pulumi:dev::p::"
    rolled = {"spec.template.metadata.annotations.checksum/password": {"kind": "update"}}
    given = [
        {"op": "replace", "urn": f"{urn}random:a:RandomPassword::r", "replaceReasons": ["length"]},
        {"op": "update", "urn": f"{urn}kubernetes:apps/v1:StatefulSet::s", "detailedDiff": rolled},
        {"op": "update", "urn": f"{urn}kubernetes:apps/v1:Deployment::d", "detailedDiff": rolled},
    ]
    found = list(preview({"steps": given}).alarms())
    assert [(each.gravity, each.subject, each.paths) for each in found] == [
        (Gravity.DATA, "RandomPassword/r", ("length",)),
        (Gravity.RESTARTS, "StatefulSet/s", ()),
    ]
    assert "a secret that was generated is another one" in found[0].words


def test_components_are_told_by_what_they_are_made_of() -> None:
    state = {"custom": False, "outputs": {}}
    assert preview({"steps": [{"op": "create", "urn": URN, "newState": state}]}).steps == []


def test_warnings_alone_are_no_change_and_an_error_is_loud() -> None:
    said = [{"severity": "warning", "message": "warning: it is old\n  more of it"}]
    given: dict[str, Any] = {"steps": [{"op": "same", "urn": URN}], "diagnostics": said}
    assert told(side(), side(), preview=preview(given)).splitlines()[1].startswith("Nothing")
    said.append({"severity": "error", "message": "error: preview failed"})
    report = told(side(), side(), preview=preview(given))
    assert "- **the engine's preview fails**: `preview failed`" in report
    _, fold, warnings = report.partition("<summary>dev: what the engine warns of (1)</summary>")
    assert fold
    assert "- `it is old`" in warnings


def test_a_job_that_runs_anew_is_not_told_by_the_engine_once_more() -> None:
    before, after = (side({"ado:migrations": {"command": [word]}}) for word in ("one", "two"))
    (change,) = compared("dev", before, after).changes
    jobs = sorted(change.titles)
    assert len(jobs) == 2
    given = {
        "steps": [
            {"op": op, "urn": f"{URN}-{op}", state: {"inputs": manifest}}
            for op, state, manifest in (
                ("create", "newState", change.after),
                ("delete", "oldState", change.before),
            )
        ]
    }
    found = compared("dev", before, after, preview(given))
    assert sorted(each.title for each in preview(given).steps) == jobs
    assert (found.beside, found.done) == ([], [])


def test_what_the_engine_leaves_of_this_branch_is_told() -> None:
    after = side({"ado:gateway": {"image": {"tag": "0.2.0"}}})
    given = {"steps": [{"op": "same", "urn": URN}]}
    report = told(side(), after, preview=preview(given))
    assert "would leave what this branch changes of `Deployment/ado-api-gateway`" in report
    assert "Without the engine's preview" not in report
    cut_off = {**given, "diagnostics": [{"severity": "error", "message": "error: refused"}]}
    assert "would leave" not in told(side(), after, preview=preview(cut_off))


def test_what_both_know_is_told_once() -> None:
    inputs = {"kind": "Service", "metadata": {"name": "ado-dashboard"}}
    given = {"steps": [{"op": "delete", "urn": URN, "oldState": {"inputs": inputs}}]}
    after = [each for each in side().objects if each.path != "service-ado-dashboard.yaml"]
    found = compared("dev", side(), replace(side(), objects=after), preview(given))
    assert [each.subject for each in found.alarms] == ["Service/ado-dashboard"]
    assert found.beside == []


def test_a_stack_that_is_removed_says_what_that_leaves() -> None:
    report = told(side(), None)
    assert "### `dev`: removed" in report
    assert "destroys nothing" in report


def test_an_object_of_a_kind_that_nobody_knows_is_told() -> None:
    odd: list[RenderedObject] = [
        thing("Strange", "s", spec={"a": [1, {"b": None}]}, status=[]),
        thing("Deployment", "d", spec={"template": None, "replicas": None}),
        thing("Job", "c", spec={"template": {}}),
        thing("Service", "e", spec={}),
    ]
    for before, after in (((), odd), (odd, ())):
        report = told(Side(objects=before), Side(objects=after))
        assert all(f"`{each.kind}/{each.name}`" in report for each in odd)
