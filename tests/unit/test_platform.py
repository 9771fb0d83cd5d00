"""The whole platform, as each committed stack composes it."""

from __future__ import annotations

import re
from typing import Any

import kubernetes_validate
import pulumi
import pytest

from ado_infra import AdoPlatform, AdoPlatformArgs, StackSecrets
from ado_infra.settings import NamespaceSettings
from tests.support.manifests import VERSION_LABEL, pod, selects, templates
from tests.support.recording import ROOT, Recording, record, record_stack, settings_of

EXACTLY = {
    "Namespace": {"ado-system"},
    "random:index/randomBytes:RandomBytes": {"ado-digest-key"},
    "random:index/randomPassword:RandomPassword": {
        "ado-stores-database-password",
        "ado-stores-redis-password",
        "ado-stores-replication-password",
    },
    "ConfigMap": {
        "ado-config",
        "ado-dashboard-grafana",
        "postgresql-config",
        "postgresql-state",
        "redis-config",
    },
    "Secret": {
        "ado-agent-credentials",
        "ado-digest-key",
        "ado-object-storage",
        "ado-secrets",
        "postgresql",
        "redis",
    },
    "Deployment": {"ado-api-gateway", "ado-dashboard", "ado-orchestrator", "ado-worker"},
    "StatefulSet": {"postgresql", "redis"},
    "Job": {
        "postgresql-state-begin-DIGEST",
        "redis-cluster-create-DIGEST",
    },
    "ServiceAccount": {
        "ado-api-gateway",
        "ado-dashboard",
        "ado-orchestrator",
        "ado-worker",
        "postgresql",
        "postgresql-state",
        "redis",
        "redis-cluster-create",
    },
    "Role": {"postgresql-state"},
    "RoleBinding": {"postgresql-state"},
    "Service": {
        "ado-api-gateway",
        "ado-dashboard",
        "ado-orchestrator",
        "ado-worker",
        "postgresql",
        "postgresql-headless",
        "postgresql-ro",
        "redis",
        "redis-headless",
    },
    "HorizontalPodAutoscaler": {"ado-api-gateway-hpa", "ado-worker-hpa"},
    "PodDisruptionBudget": {
        "ado-api-gateway-pdb",
        "ado-dashboard-pdb",
        "ado-orchestrator-pdb",
        "ado-worker-pdb",
        "postgresql-pdb",
        "redis-pdb",
    },
    "NetworkPolicy": {
        "ado-api-gateway-netpol",
        "ado-dashboard-netpol",
        "ado-default-deny",
        "ado-orchestrator-netpol",
        "ado-worker-netpol",
        "postgresql-netpol",
        "postgresql-state-netpol",
        "redis-cluster-create-netpol",
        "redis-netpol",
    },
    "Ingress": {"ado-ingress"},
    "ServiceMonitor": {"ado-metrics"},
}
APPLICATIONS = EXACTLY["Deployment"]
COMPONENTS = """
AdoPlatform ado
  ApiGateway ado-gateway
    Workload ado-gateway-workload
  Configuration ado-configuration
  Dashboard ado-dashboard
    Workload ado-dashboard-workload
  Edge ado-edge
  Monitoring ado-monitoring
  NetworkPolicies ado-network-policies
  Orchestrator ado-orchestrator
    Workload ado-orchestrator-workload
  Stores ado-stores
    Connections ado-stores-connections
    ObjectStorage ado-stores-object-storage
    Postgres ado-stores-postgres
      PostgresRecord ado-stores-postgres-record
      StatefulWorkload ado-stores-postgres-workload
    Redis ado-stores-redis
      StatefulWorkload ado-stores-redis-workload
  WorkerPool ado-worker-default
    Workload ado-worker-default-workload
"""
OF_DATABASES = ("postgresql", "redis", "redis-cluster-create")
ASKING_THE_API = "postgresql-state-begin"
ACCOUNTS = ROOT / "docs" / "accounts.md"
RIGHTS = "postgresql-state"
"""The one account with a Role."""
LED_BY_THE_RECORD = {"postgresql", "postgresql-ro"}
CRD = (
    "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition",
    "servicemonitors.monitoring.coreos.com",
)
POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
USING_STORES = {"ado:index:ApiGateway", "ado:index:Orchestrator", "ado:index:WorkerPool"}


def _pods(stack: Recording) -> list[tuple[str, dict[str, str]]]:
    """The pods that Deployments and StatefulSets keep: workload, labels."""
    pods = [
        (name, dict(template["metadata"]["labels"]))
        for name, template in templates(stack, "Deployment").items()
    ]
    for workload in stack.of_kind("StatefulSet"):
        name, labels = workload["metadata"]["name"], workload["spec"]["template"]["metadata"]
        for ordinal in range(int(workload["spec"]["replicas"])):
            of_the_controller = {POD_NAME_LABEL: f"{name}-{ordinal}"}
            pods.append((name, {**labels["labels"], **of_the_controller}))
    return pods


def _budgets(stack: Recording) -> dict[str, dict[str, str]]:
    return {
        p["metadata"]["name"].removesuffix("-pdb"): p["spec"]["selector"]["matchLabels"]
        for p in stack.of_kind("PodDisruptionBudget")
    }


def _services(stack: Recording) -> dict[str, dict[str, str]]:
    return {s["metadata"]["name"]: s["spec"]["selector"] for s in stack.of_kind("Service")}


def _containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [*spec.get("initContainers", ()), *spec["containers"]]


def _outline(stack: Recording) -> str:
    components = [r for r in stack.resources if r.type.startswith("ado:")]

    def below(parent: str, indent: str) -> list[str]:
        lines: list[str] = []
        for one in sorted(components, key=lambda r: r.type):
            if one.parent == parent:
                lines.append(f"{indent}{one.type.rpartition(':')[2]} {one.name}")
                lines += below(one.urn, indent + "  ")
        return lines

    (platform,) = [r for r in components if r.type == "ado:index:AdoPlatform"]
    return "\n".join(["", *below(platform.parent, ""), ""])


class TestObjects:
    def test_a_stack_is_exactly_these(self, stack: Recording) -> None:
        found: dict[str, set[str]] = {}
        keys = stack.keys()
        for kind, name in keys:
            digest = r"(?<=-)[0-9a-f]{10}$"
            known = re.sub(digest, "DIGEST", name) if kind == "Job" else name
            found.setdefault(kind, set()).add(known)
        assert found == EXACTLY

    def test_every_one_is_valid_under_the_strict_schema(self, stack: Recording) -> None:
        custom = {"ServiceMonitor"}
        manifests = [r.manifest for r in stack.objects if r.key[0] not in custom]
        assert len(manifests) == len(stack.objects) - 1
        for manifest in manifests:
            kubernetes_validate.validate(manifest, "1.37", strict=True)

    def test_every_one_carries_the_common_labels(self, stack: Recording) -> None:
        for manifest in (resource.manifest for resource in stack.objects):
            labels = manifest["metadata"]["labels"]
            assert labels["app.kubernetes.io/name"] == "ado"
            assert labels["app.kubernetes.io/part-of"] == "ado"
            assert labels["app.kubernetes.io/instance"] == "ado"
            assert labels["app.kubernetes.io/managed-by"] == "pulumi"
            assert labels["app.kubernetes.io/component"]

    def test_the_version_is_on_the_pods_of_workloads_alone(self, stack: Recording) -> None:
        for manifest in (resource.manifest for resource in stack.objects):
            on_pods = manifest["kind"] in {"Deployment", "StatefulSet"}
            assert str(manifest).count(VERSION_LABEL) == (1 if on_pods else 0)
        for template in templates(stack, "Deployment", "StatefulSet").values():
            image = template["spec"]["containers"][0]["image"]
            assert image.endswith(":" + template["metadata"]["labels"][VERSION_LABEL])

    def test_they_are_all_in_the_platforms_namespace(self, stack: Recording) -> None:
        for resource in stack.objects:
            if resource.key[0] != "Namespace":
                assert resource.manifest["metadata"]["namespace"] == "ado-system"

    def test_the_namespace_enforces_restricted_pods(self, stack: Recording) -> None:
        labels = stack.get("Namespace", "ado-system")["metadata"]["labels"]
        modes = {m: labels[f"pod-security.kubernetes.io/{m}"] for m in ("enforce", "audit", "warn")}
        assert set(modes.values()) == {"restricted"}

    def test_the_stack_says_where_it_is(self, dev: Recording, prod: Recording) -> None:
        services = {"gatewayService": "ado-api-gateway", "dashboardService": "ado-dashboard"}
        common = {"namespace": "ado-system", **services}
        assert prod.exports == {**common, "url": "https://ado.example.com"}
        assert dev.exports == {**common, "url": "http://ado.localhost"}

    def test_the_committed_stacks_warn_of_what_is_for_their_owner_to_decide_alone(
        self, dev: Recording, prod: Recording
    ) -> None:
        assert dev.warnings == []
        backup, replicas = prod.warnings
        assert backup.startswith("PostgreSQL has no backup")
        assert replicas.startswith("Redis has no replicas")
        complete = {
            "ado:postgres": {"backup": {"bucket": "backups"}},
            "ado:redis": {"replicasPerMaster": 1},
        }
        assert not set(record_stack("prod", changes=complete).warnings) & {backup, replicas}

    def test_one_without_keys_is_told_what_gets_none_and_how_to_give_them(self) -> None:
        agents, storage = sorted(record_stack("dev", secrets={}).warnings, key=len)
        assert "workers are given none" in agents
        assert "orchestrator, workers and backups are given none" in storage
        given = {agents: ("anthropicApiKey", "googleApiKey")}
        given[storage] = ("objectStorageAccessKey", "objectStorageSecretKey")
        for warning, keys in given.items():
            commands = [line.strip() for line in warning.splitlines()[1:]]
            assert commands == [f"pulumi config set --secret ado:{key}" for key in keys]


def test_a_platform_whose_name_is_no_label_value_makes_nothing() -> None:
    settings, made = settings_of("dev"), Recording()

    def program() -> None:
        AdoPlatform("my ado", AdoPlatformArgs(settings=settings, secrets=StackSecrets()))

    with pytest.raises(pulumi.RunError, match=r"^The name of AdoPlatform = 'my ado' is no label"):
        record(program, into=made)
    assert [r for r in made.resources if r.type != "pulumi:pulumi:Stack"] == []


class TestSelectors:
    def test_a_workloads_is_its_name_alone(self, stack: Recording) -> None:
        for kind in ("Deployment", "StatefulSet"):
            for workload in stack.of_kind(kind):
                alone = {"matchLabels": {"app": workload["metadata"]["name"]}}
                assert workload["spec"]["selector"] == alone

    def test_a_services_matches_one_workloads_pods(self, stack: Recording) -> None:
        for name, selector in _services(stack).items():
            matched = {workload for workload, labels in _pods(stack) if selects(selector, labels)}
            # Who is the primary is for others to say: made, these two lead nowhere.
            led = name in LED_BY_THE_RECORD
            assert matched == (set() if led else {name.removesuffix("-headless")})

    def test_a_budgets_matches_one_workloads_pods(self, stack: Recording) -> None:
        for name, selector in _budgets(stack).items():
            matched = {workload for workload, labels in _pods(stack) if selects(selector, labels)}
            assert matched == {name}

    def test_every_pod_is_under_exactly_one_budget(self, stack: Recording) -> None:
        for name, labels in _pods(stack):
            over = [budget for budget, s in _budgets(stack).items() if selects(s, labels)]
            assert over == [name]

    def test_nothing_selects_the_pods_of_jobs(self, stack: Recording) -> None:
        workloads = [
            w["spec"]["selector"]["matchLabels"]
            for kind in ("Deployment", "StatefulSet")
            for w in stack.of_kind(kind)
        ]
        selectors = [*workloads, *_services(stack).values(), *_budgets(stack).values()]
        for template in templates(stack, "Job").values():
            assert not [s for s in selectors if selects(s, template["metadata"]["labels"])]


class TestPods:
    def test_replicas_are_absent_where_an_autoscaler_owns_them(self, stack: Recording) -> None:
        autoscalers = stack.of_kind("HorizontalPodAutoscaler")
        scaled = {h["spec"]["scaleTargetRef"]["name"] for h in autoscalers}
        for workload in stack.of_kind("Deployment") + stack.of_kind("StatefulSet"):
            name, spec = workload["metadata"]["name"], workload["spec"]
            assert ("replicas" in spec) == (name not in scaled)

    def test_each_runs_as_a_user_without_privileges(self, stack: Recording) -> None:
        for name in templates(stack):
            user = 999 if re.sub(r"-[0-9a-f]{10}$", "", name) in OF_DATABASES else 10001
            assert pod(stack, name)["securityContext"] == {
                "runAsNonRoot": True,
                "runAsUser": user,
                "runAsGroup": user,
                "fsGroup": user,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            }

    def test_each_has_an_account_of_its_own_and_no_token(self, stack: Recording) -> None:
        accounts = {
            re.sub(r"-[0-9a-f]{10}$", "", name): pod(stack, name)["serviceAccountName"]
            for name in templates(stack)
        }
        beginning = {ASKING_THE_API: RIGHTS}
        assert accounts == {name: name for name in accounts} | beginning
        assert sorted(accounts.values()) == sorted(EXACTLY["ServiceAccount"])
        for account in stack.of_kind("ServiceAccount"):
            assert account["automountServiceAccountToken"] is False
        for name in templates(stack):
            asks = name.startswith(ASKING_THE_API)
            assert pod(stack, name)["automountServiceAccountToken"] is asks

    def test_the_page_of_accounts_has_each_with_its_rights(self) -> None:
        changes = {
            "ado:migrations": {"command": ["migrate"]},
            "ado:postgres": {"backup": {"bucket": "backups"}},
        }
        stack = record_stack("dev", changes=changes)
        rows = re.findall(r"(?m)^\| `(.+?)` .*\| (yes|no) \| (.+) \|$", ACCOUNTS.read_text())
        names = {name.partition("`")[0] for name, *_ in rows}
        assert names == {each["metadata"]["name"] for each in stack.of_kind("ServiceAccount")}
        asking = {name for name, token, rights in rows if (token, rights) != ("no", "none")}
        assert asking == {each["metadata"]["name"] for each in stack.of_kind("Role")}
        (told,) = (rights for name, _, rights in rows if name in asking)
        (role,) = stack.of_kind("Role")
        named = {name for rule in role["rules"] for name in rule["resourceNames"]}
        verbs = {verb for rule in role["rules"] for verb in rule["verbs"]}
        assert set(re.findall(r"`(.+?)`", told)) == named | verbs

    def test_none_gets_the_nodes_namespaces(self, stack: Recording) -> None:
        for name in templates(stack):
            spec = pod(stack, name)
            assert spec["enableServiceLinks"] is False
            lax = {"hostNetwork", "hostPID", "hostIPC", "hostUsers"}
            assert not lax.intersection(spec)

    def test_the_one_that_asks_the_api_may_change_these_alone(self, stack: Recording) -> None:
        (account,) = EXACTLY["Role"]
        assert stack.get("Role", account)["rules"] == [
            {
                "apiGroups": [""],
                "resources": [kind],
                "resourceNames": names,
                "verbs": ["get", "patch"],
            }
            for kind, names in (
                ("configmaps", ["postgresql-state"]),
                ("services", sorted(LED_BY_THE_RECORD)),
            )
        ]
        binding = stack.get("RoleBinding", account)
        assert binding["roleRef"]["name"] == account
        subject = {"kind": "ServiceAccount", "name": account, "namespace": "ado-system"}
        assert binding["subjects"] == [subject]

    def test_each_container_is_hardened(self, stack: Recording) -> None:
        for name in templates(stack):
            spec = pod(stack, name)
            assert "ephemeralContainers" not in spec
            (_,) = spec["containers"]
            for one in _containers(spec):
                assert one["securityContext"] == {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                    "runAsNonRoot": True,
                }

    def test_each_may_write_to_tmp_and_reaches_nothing_of_the_node(self, stack: Recording) -> None:
        for name in templates(stack):
            spec = pod(stack, name)
            sources = {v["name"]: v.keys() - {"name"} for v in spec["volumes"]}
            assert all(len(s) == 1 for s in sources.values())
            assert set().union(*sources.values()) <= {"configMap", "emptyDir", "secret"}
            used: set[str] = set()
            for one in _containers(spec):
                mounted = {m["mountPath"]: m["name"] for m in one["volumeMounts"]}
                assert sources[mounted["/tmp"]] == {"emptyDir"}  # noqa: S108 - the pod's own
                used |= set(mounted.values())
            claim = {"data"} if name in EXACTLY["StatefulSet"] else set()
            assert used == sources.keys() | claim

    def test_each_container_is_promised_and_limited(self, stack: Recording) -> None:
        for name in templates(stack):
            for one in _containers(pod(stack, name)):
                amounts = {kind: set(amount) for kind, amount in one["resources"].items()}
                each = {"cpu", "memory", "ephemeral-storage"}
                assert amounts == {"requests": each, "limits": each}


def test_metrics_of_the_applications_are_found_by_label_and_port_name(stack: Recording) -> None:
    scraped: set[str] = set()
    for service in stack.of_kind("Service"):
        for port in service["spec"]["ports"]:
            if port["name"] == "metrics":
                assert service["metadata"]["labels"]["app.kubernetes.io/name"] == "ado"
                target = pod(stack, service["spec"]["selector"]["app"])["containers"][0]["ports"]
                (found,) = [p for p in target if p["name"] == port["targetPort"]]
                assert (port["port"], found["containerPort"]) == (9090, 9090)
                scraped.add(service["metadata"]["name"])
    assert scraped == APPLICATIONS


class TestTree:
    def test_components_hang_together_like_the_picture(self, stack: Recording) -> None:
        assert _outline(stack) == COMPONENTS

    def test_everything_has_a_component_as_its_parent_and_is_named_after_it(
        self, stack: Recording
    ) -> None:
        components = {r.urn: r.name for r in stack.resources if r.type.startswith("ado:")}
        for resource in stack.resources:
            if resource.type != "ado:index:AdoPlatform":
                assert resource.name.startswith(f"{components[resource.parent]}-")

    def test_two_platforms_in_one_program_do_not_collide(self) -> None:
        settings = settings_of("dev")

        def program() -> None:
            for name in ("blue", "green"):
                namespace = NamespaceSettings(name=f"ado-{name}")
                own = settings.model_copy(update={"namespace": namespace})
                AdoPlatform(name, AdoPlatformArgs(settings=own, secrets=StackSecrets()))

        recording = record(program)
        urns = [resource.urn for resource in recording.resources]
        places = [(r.key, r.manifest["metadata"].get("namespace")) for r in recording.objects]
        assert len(urns) == len(set(urns)) == 2 * len({u.replace("green", "blue") for u in urns})
        assert len(places) == len(set(places))


class TestProtection:
    def test_production_protects_what_holds_data_and_what_was_generated(
        self, prod: Recording
    ) -> None:
        assert {resource.key for resource in prod.resources if resource.protect} == {
            (kind, name)
            for kind in (
                "Namespace",
                "random:index/randomBytes:RandomBytes",
                "random:index/randomPassword:RandomPassword",
                "StatefulSet",
            )
            for name in EXACTLY[kind]
        } | {("ConfigMap", "postgresql-state")}

    def test_without_protect_data_nothing_is_protected(self, dev: Recording) -> None:
        assert not [resource.name for resource in dev.resources if resource.protect]

    def test_protecting_changes_nothing_else(self, dev: Recording) -> None:
        protecting = record_stack("dev", changes={"ado:protectData": True})
        before = {resource.key: resource.manifest for resource in dev.objects}
        assert {resource.key: resource.manifest for resource in protecting.objects} == before
        assert [resource for resource in protecting.resources if resource.protect]


class TestServiceMonitor:
    def test_its_definition_is_read_before_anything_is_made(self, stack: Recording) -> None:
        assert stack.read == [CRD]
        (namespace,) = [r for r in stack.resources if r.key[0] == "Namespace"]
        (definition,) = namespace.dependencies
        assert definition.rpartition("::")[0].endswith(f"${CRD[0]}")

    def test_what_is_in_the_namespace_waits_for_it_and_so_for_the_definition(
        self, stack: Recording
    ) -> None:
        (namespace,) = [r for r in stack.resources if r.key[0] == "Namespace"]
        for resource in stack.objects:
            assert resource is namespace or namespace.urn in resource.dependencies

    def test_switched_off_nothing_is_read_and_the_rest_stays(self, dev: Recording) -> None:
        without = record_stack("dev", changes={"ado:monitoring": {"serviceMonitor": False}})
        assert without.read == []
        assert dev.keys() - without.keys() == {("ServiceMonitor", "ado-metrics")}
        assert without.keys() < dev.keys()


def test_whatever_is_awaited_waits_for_nothing_that_is_not_made_yet(stack: Recording) -> None:
    """The engine has few places for what is under way: waiting for each other would fill them."""
    made = {resource.urn: resource for resource in stack.resources}
    stores = {r.urn for r in stack.objects if r.key[0] in {"StatefulSet", "Job"}}
    tiers = [r for r in stack.resources if r.type in USING_STORES]
    assert len(tiers) == len(USING_STORES)
    for tier in tiers:
        assert stores <= tier.dependencies
    for service in (r for r in stack.objects if r.key[0] == "Service"):
        selected = service.manifest["spec"]["selector"]["app"]
        awaited = {made[urn].key for urn in service.dependencies if urn in made}
        if service.key[1] in LED_BY_THE_RECORD:
            continue  # nobody waits for what is behind these
        if service.manifest["spec"].get("clusterIP") != "None":
            assert awaited & {("Deployment", selected), ("StatefulSet", selected)}
