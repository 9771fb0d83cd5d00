"""PostgreSQL, Redis and object storage: what runs, what stays, and what is refused."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from ado_infra.data.postgres.postgres import files as postgres_files
from ado_infra.data.redis import Redis, RedisArgs
from ado_infra.data.redis.redis import files as redis_files
from ado_infra.kit.spec import Resources, Volume
from ado_infra.kit.volumes import Kept, _difference
from ado_infra.settings import (
    PostgresSettings,
    PostgresVolume,
    RedisSettings,
    RedisVolume,
)
from ado_infra.site import Site
from tests.support.manifests import (
    checksums,
    container,
    directories,
    environment,
    job,
    pod,
    ports,
    service_ports,
)
from tests.support.recording import ROOT, Recording, record, record_stack

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
DISK = ({"ephemeral-storage": "1Gi"}, {"ephemeral-storage": "1Gi"})
"""What is promised and the most of a node's disk."""
Recorded = Callable[[str], Recording]
NUMBERS: dict[tuple[str, str], tuple[tuple[str, str], tuple[str, str], str]] = {
    ("prod", "postgresql"): (("500m", "1Gi"), ("2", "4Gi"), "20Gi"),
    ("prod", "redis"): (("250m", "512Mi"), ("1", "1Gi"), "5Gi"),
    ("dev", "postgresql"): (("100m", "256Mi"), ("2", "4Gi"), "1Gi"),
    ("dev", "redis"): (("50m", "64Mi"), ("1", "1Gi"), "1Gi"),
}
"""(cpu, memory) that is promised, the most, and the size of each pod's volume."""


def _spec(stack: Recording, name: str) -> dict[str, Any]:
    return dict(stack.get("StatefulSet", name)["spec"])


def _lines(text: str) -> dict[str, str]:
    """The settings in a configuration of PostgreSQL."""
    return dict(re.findall(r"^(\w+) = '?([^'\n#]*?)'?\s*(?:#.*)?$", text, re.MULTILINE))


class TestBoth:
    @pytest.mark.parametrize(("name", "store"), NUMBERS)
    def test_each_has_the_designs_numbers(self, name: str, store: str, recorded: Recorded) -> None:
        requests, limits, size = NUMBERS[name, store]
        stack = recorded(name)
        assert container(stack, store)["resources"] == {
            "requests": {"cpu": requests[0], "memory": requests[1], **DISK[0]},
            "limits": {"cpu": limits[0], "memory": limits[1], **DISK[1]},
        }
        (claim,) = _spec(stack, store)["volumeClaimTemplates"]
        assert claim["spec"] == {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            "volumeMode": "Filesystem",
        }

    @pytest.mark.parametrize(("store", "replicas"), [("postgresql", 2), ("redis", 3)])
    def test_what_cannot_be_changed_is_fixed_from_the_first_release(
        self, store: str, replicas: int, stack: Recording
    ) -> None:
        spec = _spec(stack, store)
        (claim,) = spec["volumeClaimTemplates"]
        assert claim["metadata"]["name"] == "data"
        assert spec["serviceName"] == f"{store}-headless"
        assert spec["replicas"] == replicas
        assert spec["podManagementPolicy"] == "Parallel"
        assert spec["updateStrategy"] == {"type": "RollingUpdate"}
        assert spec["revisionHistoryLimit"] == 10
        kept = {"whenDeleted": "Retain", "whenScaled": "Retain"}
        assert spec["persistentVolumeClaimRetentionPolicy"] == kept
        (made,) = [r for r in stack.objects if r.key == ("StatefulSet", store)]
        assert made.ignored == ("spec.volumeClaimTemplates",)

    @pytest.mark.parametrize("store", ["postgresql", "redis"])
    def test_its_pods_find_each_other_before_they_are_ready(
        self, store: str, stack: Recording
    ) -> None:
        spec = stack.get("Service", f"{store}-headless")["spec"]
        assert spec["clusterIP"] == "None"
        assert spec["publishNotReadyAddresses"] is True
        assert spec["selector"] == {"app": store}
        offered = {name: (port, name) for name, port in ports(stack, store).items()}
        assert service_ports(stack, f"{store}-headless") == offered

    @pytest.mark.parametrize("store", ["postgresql", "redis"])
    def test_it_is_started_by_a_script_of_ours_and_a_shell_alone(
        self, store: str, stack: Recording
    ) -> None:
        told, found = environment(stack, store), directories(stack, store)
        assert container(stack, store)["command"] == ["/bin/sh", f"{told['CONFIG']}/start.sh"]
        assert found[told["CONFIG"]] == f"ConfigMap {store}-config, read-only"
        assert found[told["SECRETS"]] == f"Secret {store}, read-only"
        assert told["HEADLESS_SERVICE"] == f"{store}-headless"
        assert told["POD_NAME"] == "Pod metadata.name"
        (secret,) = [v["secret"] for v in pod(stack, store)["volumes"] if "secret" in v]
        assert secret["defaultMode"] == 0o440

    @pytest.mark.parametrize("store", ["postgresql", "redis"])
    def test_a_start_gets_time_before_it_is_judged(self, store: str, stack: Recording) -> None:
        asked = container(stack, store)
        probes = {name: asked[f"{name}Probe"] for name in ("startup", "readiness", "liveness")}
        assert all(probe["timeoutSeconds"] == 5 and probe["exec"] for probe in probes.values())
        assert probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"] == 3600


class TestPostgres:
    def test_it_keeps_its_data_below_the_volume(self, stack: Recording) -> None:
        assert ports(stack, "postgresql") == {"postgresql": 5432}
        found, told = directories(stack, "postgresql"), environment(stack, "postgresql")
        assert found["/var/lib/postgresql/data"] == "claim data"
        assert told["PGDATA"] == "/var/lib/postgresql/data/pgdata"
        assert found[told["SOCKET"]].startswith("empty Memory")

    def test_it_ends_its_sessions_before_it_is_killed(self, stack: Recording) -> None:
        (command,) = container(stack, "postgresql")["lifecycle"]["preStop"]["exec"]["command"][2:]
        timeout = int(re.findall(r"--timeout (\d+)", command)[0])
        assert 0 < timeout < pod(stack, "postgresql")["terminationGracePeriodSeconds"] == 120

    def test_its_services_lead_nowhere_until_the_record_says_where(self, stack: Recording) -> None:
        for service in ("postgresql", "postgresql-ro"):
            manifest = stack.get("Service", service)
            selector = {"app": "postgresql", POD_NAME_LABEL: "nobody"}
            assert manifest["spec"]["selector"] == selector
            assert manifest["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
            (made,) = (r for r in stack.objects if r.key == ("Service", service))
            assert made.ignored == ("spec.selector",)
            assert service_ports(stack, service) == {"postgresql": (5432, "postgresql")}

    def test_a_fenced_pod_holds_up_no_deployment(self, stack: Recording) -> None:
        waiting = stack.get("StatefulSet", "postgresql")["metadata"]["annotations"]
        assert waiting == {"pulumi.com/skipAwait": "true"}
        assert "annotations" not in stack.get("StatefulSet", "redis")["metadata"]

    def test_nothing_that_operators_change_is_taken_over_by_force(self, stack: Recording) -> None:
        # A stack that was not told of a password's rotation is refused, and does not undo it.
        told = [r.manifest["metadata"].get("annotations") or {} for r in stack.objects]
        assert not [annotations for annotations in told if "pulumi.com/patchForce" in annotations]

    def test_the_record_of_roles_is_made_and_never_filled(self, stack: Recording) -> None:
        record = stack.get("ConfigMap", "postgresql-state")
        assert record.keys() == {"apiVersion", "kind", "metadata"}
        found, told = directories(stack, "postgresql"), environment(stack, "postgresql")
        assert found[told["STATE"]] == "ConfigMap postgresql-state, read-only"
        assert "checksum/state" not in checksums(stack, "postgresql")  # it changes under the pods

    @pytest.mark.parametrize("recorded", ["", "0", "1", "2"])
    def test_a_database_is_noted_and_its_services_are_led_by_the_record(
        self, recorded: str, stack: Recording, tmp_path: Path
    ) -> None:
        name = job(stack, "postgresql-state-begin")
        (begin,) = (r for r in stack.objects if r.key == ("Job", name))
        before = {key: r.urn for r in stack.objects if (key := r.key)}
        for needed in (
            ("StatefulSet", "postgresql"),
            ("Service", "postgresql"),
            ("Service", "postgresql-ro"),
        ):
            assert before[needed] in begin.dependencies
        decide, note, lead = pod(stack, name)["initContainers"]
        told = {each["name"]: each.get("value") for each in decide["env"]}
        if recorded:
            (tmp_path / "primary").write_text(recorded)
        (tmp_path / "password").write_text("secret")
        asked = tmp_path / "psql"
        asked.write_text(
            '#!/bin/sh\necho "$@" "$PGPASSWORD" >>"$STATE/asked"\n'
            'case "$*" in *"$POD-${LED:-0}."*) echo "$SAID" ;; *) echo "$PEER" ;; esac\n'
        )
        asked.chmod(0o755)
        here = dict.fromkeys(("STATE", "SERVED", "SECRETS"), str(tmp_path))
        environment = {**told, **here, "PATH": f"{tmp_path}{os.pathsep}{os.defpath}"}
        decided = {
            said: subprocess.run(
                decide["command"],
                env={**environment, "LED": recorded, "SAID": said[0], "PEER": said[1]},
                check=False,
            ).returncode
            # Finding 17 of a review: a lost record must not be blessed with the wrong primary.
            for said in (("t", ""), ("f", "f"), ("f", "t"), ("f", ""))
        }
        # A standby, a second primary, or no pod at all: nothing is led anywhere.
        assert decided["t", ""] == decided["f", "f"] == 1
        assert (decided["f", "t"] == decided["f", ""] == 0) == (recorded != "2")
        assert (
            f"postgresql-{recorded or 0}.postgresql-headless " in (tmp_path / "asked").read_text()
        )
        if recorded == "2":
            return
        primary = int(recorded or "0")
        record = json.loads((tmp_path / "record.json").read_text())
        assert record["metadata"]["name"] == "postgresql-state"
        assert record["data"] == {"initialised": "true", "primary": str(primary)}
        items = json.loads((tmp_path / "services.json").read_text())["items"]
        led = {item["metadata"]["name"]: item for item in items}
        for service, ordinal in (("postgresql", primary), ("postgresql-ro", 1 - primary)):
            selector = {"app": "postgresql", POD_NAME_LABEL: f"postgresql-{ordinal}"}
            assert led[service]["spec"] == {"selector": selector}
        assert note["command"] == container(stack, name)["command"]  # before and after
        assert "--field-manager=ado-ops" in lead["command"]  # as the operator's commands

    @pytest.mark.parametrize(
        ("name", "sizes"),
        [
            ("prod", ("400", "256MB", "2560MB", "1024MB", "5120MB")),
            ("dev", ("100", "64MB", "128MB", "64MB", "256MB")),
        ],
    )
    def test_its_sizes_follow_from_the_settings(
        self, name: str, sizes: tuple[str, ...], recorded: Recorded
    ) -> None:
        data = recorded(name).get("ConfigMap", "postgresql-config")["data"]
        told = _lines(data["postgresql.conf"])
        derived = ("max_connections", "shared_buffers", "max_wal_size", "wal_keep_size")
        assert tuple(told[key] for key in (*derived, "max_slot_wal_keep_size")) == sizes
        assert told["password_encryption"] == "scram-sha-256"
        assert told["huge_pages"] == "off"

    def test_its_sizes_stay_within_what_the_server_accepts(self) -> None:
        resources = Resources.of(("100m", "1Mi"), ("1", "1Gi"))
        small = PostgresSettings(volume=PostgresVolume(size="1Mi"), resources=resources)
        large = PostgresSettings(volume=PostgresVolume(size="1Ti"))
        least, most = (_lines(postgres_files(s)["postgresql.conf"]) for s in (small, large))
        assert {least[key] for key in ("shared_buffers", "max_wal_size")} == {"32MB"}
        assert most["max_wal_size"] == "4096MB"

    def test_an_image_of_ones_own_runs_wherever_the_servers_programs_do(self) -> None:
        own = {"repository": "registry.example.com/data/postgres", "tag": "2.0"}
        postgres = {"image": own, "backup": {"bucket": "backups"}}
        stack = record_stack("dev", changes={"ado:postgres": postgres})
        runs = container(stack, "postgresql")["image"]
        assert runs == "registry.example.com/data/postgres:2.0"
        (schedule,) = stack.of_kind("CronJob")
        dump = schedule["spec"]["jobTemplate"]["spec"]["template"]["spec"]["initContainers"][0]
        assert dump["image"] == runs
        begin = pod(stack, job(stack, "postgresql-state-begin"))
        assert begin["initContainers"][0]["image"] == runs

    def test_every_login_over_the_network_takes_a_password(self, stack: Recording) -> None:
        text = stack.get("ConfigMap", "postgresql-config")["data"]["pg_hba.conf"]
        rules = [line.split() for line in text.splitlines() if not line.startswith("#")]
        assert {rule[-1] for rule in rules if rule[0] != "local"} == {"scram-sha-256", "reject"}
        assert rules[-1] == ["host", "all", "all", "all", "reject"]


class TestRedis:
    def test_its_service_names_every_node_as_a_seed(self, stack: Recording) -> None:
        assert ports(stack, "redis") == {"redis": 6379, "bus": 16379}
        assert service_ports(stack, "redis") == {"redis": (6379, "redis")}
        assert stack.get("Service", "redis")["spec"]["selector"] == {"app": "redis"}

    def test_it_keeps_its_data_and_writes_nothing_else_to_disk(self, stack: Recording) -> None:
        found, told = directories(stack, "redis"), environment(stack, "redis")
        assert found["/data"] == "claim data"
        assert found[told["RUN"]].startswith("empty Memory")
        configuration = stack.get("ConfigMap", "redis-config")["data"]["redis.conf"]
        assert "dir /data\n" in configuration
        assert "cluster-enabled yes\n" in configuration

    @pytest.mark.parametrize(("size", "most"), [("30G", 6_000_000_000), ("6G", 2_000_000_000)])
    def test_its_data_leaves_room_for_the_rest_in_memory_and_on_disk(
        self, size: str, most: int
    ) -> None:
        resources = Resources.of(("1", "1Gi"), ("1", "10G"))
        settings = RedisSettings(resources=resources, volume=RedisVolume(size=size))
        assert redis_files(settings)["redis.conf"].endswith(f"\nmaxmemory {most}\n")

    @pytest.mark.parametrize(("name", "told"), [("prod", "always"), ("dev", "everysec")])
    def test_when_a_write_is_on_disk_is_a_setting(
        self, name: str, told: str, recorded: Recorded
    ) -> None:
        text = recorded(name).get("ConfigMap", "redis-config")["data"]["redis.conf"]
        assert re.findall(r"^appendfsync (\w+)$", text, re.MULTILINE) == [told]
        assert "\naof-load-truncated yes\n" in text

    def test_the_job_joins_the_nodes_that_there_are(self, stack: Recording) -> None:
        name = job(stack, "redis-cluster-create")
        told = environment(stack, name)
        script = f"{told['CONFIG']}/create.sh"
        assert container(stack, name)["command"] == ["/bin/sh", script, "3", "0"]
        assert container(stack, name)["image"] == container(stack, "redis")["image"]
        assert "ttlSecondsAfterFinished" not in stack.get("Job", name)["spec"]
        (made,) = [r for r in stack.objects if r.key == ("Job", name)]
        (nodes,) = [r for r in stack.objects if r.key == ("StatefulSet", "redis")]
        assert nodes.urn in made.dependencies

    def test_with_replicas_there_are_six_nodes_and_another_job_joins_them(
        self, dev: Recording
    ) -> None:
        six = record_stack("dev", changes={"ado:redis": {"replicasPerMaster": 1}})
        (gone,), (come,) = dev.keys() - six.keys(), six.keys() - dev.keys()
        assert (gone[0], come[0]) == ("Job", "Job")
        assert container(six, come[1])["command"][-2:] == ["3", "1"]
        hosts = [f"redis-{ordinal}.redis-headless:6379" for ordinal in range(6)]
        assert environment(six, "ado-worker")["REDIS_CLUSTER_NODES"] == ",".join(hosts)
        budget = six.get("PodDisruptionBudget", "redis-pdb")["spec"]
        assert budget == dev.get("PodDisruptionBudget", "redis-pdb")["spec"]

    def test_more_nodes_leave_the_old_ones_alone(self, dev: Recording) -> None:
        six = record_stack("dev", changes={"ado:redis": {"replicasPerMaster": 1}})
        assert _spec(six, "redis") == {**_spec(dev, "redis"), "replicas": 6}
        for kind, name in (("ConfigMap", "redis-config"), ("Service", "redis")):
            assert six.get(kind, name) == dev.get(kind, name)

    def test_another_image_rolls_the_nodes_and_runs_another_job(self, dev: Recording) -> None:
        changed = record_stack("dev", changes={"ado:redis": {"image": {"tag": "8.0.6-bookworm"}}})
        gone, come = dev.keys() - changed.keys(), changed.keys() - dev.keys()
        assert [kind for kind, _ in (*gone, *come)] == ["Job", "Job"]
        assert container(changed, "redis")["image"].endswith("/redis:8.0.6-bookworm")


def test_without_keys_object_storage_is_reached_without_them() -> None:
    stack = record_stack("dev", secrets={})
    assert not stack.get("Secret", "ado-object-storage").get("data")
    for reader in ("ado-orchestrator", "ado-worker"):
        told = environment(stack, reader)
        assert not [name for name in told if name.startswith("AWS_")]
        assert told["S3_ENDPOINT"] == "https://s3.us-east-1.amazonaws.com"


CLAIMS = ["data-redis-0", "data-redis-1"]
STORES = {"postgres": "postgresql", "redis": "redis"}


class Smaller(Recording):
    """A cluster whose volumes of these stores have another size."""

    def __init__(self, sections: Iterable[str], size: str = "512Mi") -> None:
        super().__init__()
        self._size = size
        self._names = tuple(f"{section}-workload-statefulset" for section in sections)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        name, state = super().new_resource(args)
        if args.name.endswith(self._names):
            state = copy.deepcopy(state)
            (claim,) = state["spec"]["volumeClaimTemplates"]
            claim["spec"]["resources"]["requests"]["storage"] = self._size
        return name, state


def _refusal(kept: Kept, wanted: Volume) -> str | None:
    return _difference(kept, wanted, "shop", "redis", CLAIMS)


class TestVolumes:
    @pytest.mark.parametrize("wanted", ["1Gi", "1024Mi"])
    def test_the_same_volume_is_accepted_however_it_is_written(self, wanted: str) -> None:
        assert _refusal(Kept(size="1Gi"), Volume(size=wanted)) is None
        fast = Kept(size="1Gi", storage_class="fast")
        assert _refusal(fast, Volume(size=wanted, storage_class="fast")) is None

    @pytest.mark.parametrize(
        ("written", "answered"),
        [("1.1Gi", "1181116006400m"), ("1.5Ki", "1536"), ("1G", "1e9"), ("1Ti", "1024Gi")],
    )
    def test_a_size_that_the_server_writes_otherwise_is_the_same(
        self, written: str, answered: str
    ) -> None:
        changes = {"ado:redis": {"volume": {"size": written}}}
        record_stack("dev", changes=changes, into=Smaller({"redis"}, answered))

    def test_a_fraction_of_a_byte_is_no_traceback_beside_another_size(self) -> None:
        message = _refusal(Kept(size="1181116006400m"), Volume(size="2Gi"))
        assert message
        assert message.startswith("size = 2Gi: the volumes of redis have 1181116006400m.")

    def test_an_answer_that_is_no_quantity_is_told(self) -> None:
        message = _refusal(Kept(size="much"), Volume(size="2Gi"))
        assert message
        assert message.endswith(
            "cannot be compared with the volumes of redis: 'much' is no quantity"
        )

    def test_a_larger_one_is_refused_with_the_steps_that_grow_it(self) -> None:
        message = _refusal(Kept(size="1Gi"), Volume(size="2Gi"))
        assert message
        assert message.startswith("size = 2Gi: the volumes of redis have 1Gi.")
        steps = [line.strip() for line in message.splitlines()[1:]]
        assert [step.partition(" ")[0] for step in steps] == ["1.", "2.", "3.", "4.", "5."]
        for claim, step in zip(CLAIMS, steps, strict=False):
            assert f"kubectl -n shop patch pvc {claim}" in step
            assert '{"storage": "2Gi"}' in step
        assert "kubectl -n shop delete statefulset redis --cascade=orphan" in steps[2]
        assert steps[3].endswith("pulumi refresh")
        assert steps[4].endswith("pulumi up")

    def test_the_refusal_has_the_steps_of_the_runbook(self) -> None:
        page = (ROOT / "docs/data-runbooks.md").read_text()
        section = page.partition("\n### Growing a volume\n")[2].partition("\n## ")[0]
        (steps,) = re.findall(r"```\n(.*?)```", section, re.DOTALL)
        message = _difference(
            Kept(size="20Gi"),
            Volume(size="40Gi"),
            "ado-system",
            "postgresql",
            ["data-postgresql-0", "data-postgresql-1"],
        )
        assert message
        assert textwrap.dedent(message.partition("\n")[2]) == steps.rstrip()

    def test_a_smaller_one_is_refused(self) -> None:
        message = _refusal(Kept(size="2Gi"), Volume(size="1Gi"))
        assert message
        assert message.startswith(
            "size = 1Gi: the volumes of redis have 2Gi, and no volume shrinks; set it back. "
        )

    @pytest.mark.parametrize(("kept", "wanted"), [("slow", "fast"), (None, "fast"), ("slow", None)])
    def test_another_class_is_refused(self, kept: str | None, wanted: str | None) -> None:
        message = _refusal(
            Kept(size="1Gi", storage_class=kept), Volume(size="2Gi", storage_class=wanted)
        )
        assert message
        assert message.startswith(f"storageClass = {wanted}: the volumes of redis are of class")
        assert "backup and restore" in message

    @pytest.mark.parametrize("bound", [True, False])
    def test_volumes_that_never_were_may_be_others_by_a_command_that_spares_those_that_are(
        self, tmp_path: Path, *, bound: bool
    ) -> None:
        message = _refusal(Kept(size="1Gi"), Volume(size="1Gi", storage_class="fast"))
        assert message
        command, *rest = re.findall(r"^ +\d\. (.*)$", message, re.MULTILINE)
        assert rest == ["pulumi refresh", "pulumi up"]
        kubectl = tmp_path / "kubectl"  # its `wait` fails where a claim never gets Pending
        fails = 'if [ "$3" = wait ]; then exit 1; fi' if bound else ""
        kubectl.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {tmp_path}/calls\n{fails}\n')
        kubectl.chmod(0o755)
        path = f"{tmp_path}:{os.environ['PATH']}"
        ran = subprocess.run(["/bin/sh", "-c", command], env={"PATH": path}, check=False)
        claims = [f"pvc/{claim}" for claim in CLAIMS]
        waited, *deleted = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
        assert waited[:3] == ["-n", "shop", "wait"]
        assert "--for=jsonpath={.status.phase}=Pending" in waited
        assert waited[-2:] == claims
        assert deleted == (
            [] if bound else [["-n", "shop", "delete", "statefulset/redis", *claims]]
        )
        assert ran.returncode == int(bound)

    @pytest.mark.parametrize(
        "kept", [{"postgres": "postgresql"}, {"redis": "redis"}, STORES], ids=" and ".join
    )
    def test_a_stack_whose_volumes_differ_is_refused_naming_each(
        self, kept: dict[str, str]
    ) -> None:
        with pytest.raises(pulumi.RunError) as refused:
            record_stack("dev", into=Smaller(kept))
        told = [line for line in str(refused.value).splitlines() if line.startswith("ado:")]
        assert [line.partition(" have ")[0] for line in told] == [
            f"ado:{section}.volume.size = 1Gi: the volumes of {store}"
            for section, store in kept.items()
        ]
        assert str(refused.value).count("--cascade=orphan") == len(kept)
        assert ("for all of them before" in str(refused.value)) == (len(kept) > 1)

    def test_a_store_that_is_made_alone_refuses_by_itself(self) -> None:
        place = Site("shop", namespace="shop", protect=True)
        settings = RedisSettings(volume=RedisVolume(size="1Gi"))
        args = RedisArgs(site=place, settings=settings, password="p")
        with pytest.raises(pulumi.RunError, match=r"RedisSettings\.volume\.size = 1Gi"):
            record(lambda: Redis("redis", args), into=Smaller({"redis"}))

    @pytest.mark.parametrize("name", ["fast", ""])  # none: volumes that somebody makes by hand
    def test_a_storage_class_is_a_setting(self, name: str) -> None:
        changed = record_stack("dev", changes={"ado:redis": {"volume": {"storageClass": name}}})
        (claim,) = _spec(changed, "redis")["volumeClaimTemplates"]
        assert claim["spec"]["storageClassName"] == name

    def test_no_storage_class_is_another_than_the_clusters_default(self) -> None:
        message = _refusal(Kept(size="1Gi"), Volume(size="1Gi", storage_class=""))
        assert message
        assert message.startswith('storageClass = "": the volumes of redis are of class None')
