"""A platform that operators work on: PostgreSQL's pair, who reads its Secrets, and its backups."""

from __future__ import annotations

import base64
import functools
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from kubernetes import client

from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Kept
from ado_infra.ops.postgres import rotation
from ado_infra.ops.postgres.pair import Member, ordinal_of
from tests.support.operated_pair import Cluster, Killed

REFUSED = 'psql: error: FATAL:  password authentication failed for user "ado"'
API = client.ApiClient()


def model(kind: str, document: dict[str, Any]) -> Any:
    """An object as the client gives it."""
    return API.deserialize(json.dumps(document), kind, "application/json")


def reader(name: str, replicas: int = 0, *, reads: bool = True) -> dict[str, Any]:
    """A Deployment that is given the database's URL."""
    reference = {"secretKeyRef": {"name": "ado-secrets", "key": "database-url"}}
    variables = [{"name": "DATABASE_URL", "valueFrom": reference}] if reads else []
    pod = {"spec": {"containers": [{"name": "one", "env": variables}]}}
    spec = {"replicas": replicas, "selector": {}, "template": pod}
    metadata = {"name": name, "generation": 1}
    status = {"observedGeneration": 1}
    return {"metadata": metadata, "spec": spec, "status": status | _pods(replicas)}


def _pods(replicas: int) -> dict[str, int]:
    return dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), replicas)


class Rotated(Cluster):
    """The pair with its Secrets and their readers."""

    def __init__(self, *members: Member, readers: tuple[str, ...] = ("ado-api-gateway",)) -> None:
        super().__init__(*members)
        self.secrets = {"password": "former", "database-url": url("former")}
        self.secrets["verifier"] = rotation.scram("former", b"salt")
        self.changed_at: int | None = None
        self.rows: set[str] = set()
        self.restarted_at = dict.fromkeys(readers, 0)
        self.readers = {name: reader(name) for name in readers}

    def secret(self, name: str, key: str) -> Kept:
        self.allow("get secrets")
        assert name in {"postgresql", "ado-secrets"}
        if key not in self.secrets:
            raise OpsError(f"There is no key {key} in Secret {name}; `pulumi up --refresh` makes")
        return Kept(self.secrets[key], self._version(name))

    def _version(self, name: str) -> str:
        """Of a Secret: another one once it was changed, by whomever."""
        return self.secrets.get({"postgresql": "password"}.get(name, "database-url"), "")

    def patch_secret(self, name: str, values: dict[str, str], *, version: str) -> None:
        if version != self._version(name):
            raise OpsError(f"Somebody else has just changed Secret {name}")
        self.change(f"Secret {name}: {', '.join(values)}")
        self.secrets.update(values)
        if name == "ado-secrets":
            self.changed_at = self.calls

    def secret_changed(self, name: str) -> int | None:
        assert name == "ado-secrets"
        return self.changed_at

    def pods_of_deployment(self, deployment: Any) -> list[Any]:
        made = self.restarted_at[deployment.metadata.name]
        return [SimpleNamespace(metadata=SimpleNamespace(creation_timestamp=made))]

    def run(
        self,
        pod: str,
        command: tuple[str, ...],
        given: str | None = None,
        *,
        seconds: float = 0,
        changes: bool = False,
    ) -> str:
        if "pg_class" in command[-1]:
            assert self.members[ordinal_of(pod)].server == "primary"
            return ", ".join(sorted(self.rows))
        if given is None:
            return super().run(pod, command, seconds=seconds, changes=changes)
        assert given not in " ".join(command)
        assert changes == ("ALTER ROLE" in command[-1])
        if "ALTER ROLE" not in command[-1]:
            return "1 row" if self.accepts(given) else REFUSED
        self.change(f"role ado in {pod}")
        self.secrets["verifier"] = given
        return ""

    def deployments(self) -> list[Any]:
        self.allow("list deployments")
        return [model("V1Deployment", each) for each in self.readers.values()]

    def restart(self, deployment: str, annotation: str) -> None:
        assert annotation
        self.change(f"restart {deployment}")
        self.restarted_at[deployment] = self.calls

    def accepts(self, password: str) -> bool:
        """Whether the database does."""
        return self.secrets["verifier"] == _scram(password, _salt(self.secrets["verifier"]))

    def lets_in(self, password: str) -> bool:
        """Whether the database, and everybody who has read the Secrets, has this password."""
        told = {"password": password, "database-url": url(password)}
        return self.accepts(password) and told.items() <= self.secrets.items()


def _salt(verifier: str) -> bytes:
    return base64.b64decode(verifier.split(":")[1].partition("$")[0])


@functools.cache
def _scram(password: str, salt: bytes) -> str:
    return rotation.scram(password, salt)  # slow on purpose, and asked for again and again


def url(password: str) -> str:
    """How the applications reach the database."""
    return f"postgresql://ado:{quote(password)}@postgresql:5432/ado"


STEP = {"name": "one", "image": "i", "command": ["/bin/sh", "/etc/ado/config/dump.sh"]}
WRITERS = {"ado-api-gateway": 2, "ado-orchestrator": 1}
"""Who reads the database's URL, and how many pods each has."""
BACKUP = "20260102T030000Z"
"""The one that there is."""
_ENDED = {"state": {"terminated": {"exitCode": 0}}}
_CONTAINER = {"name": "one", "image": "i", "imageID": "", "ready": False, "restartCount": 0}


class Platform(Rotated):
    """All of it: also the CronJob, its Jobs, and a database that has rows or has none.

    A Job ends when it is looked at for the second time.
    """

    def __init__(self, *members: Member) -> None:
        super().__init__(*members, readers=tuple(WRITERS))
        self.readers = {name: reader(name, count) for name, count in WRITERS.items()}
        self.last_backup: datetime | None = datetime.now(UTC) - timedelta(minutes=5)
        self._jobs: dict[str, dict[str, Any]] = {}

    def cron_job(self, name: str) -> Any:
        self.allow("get cronjobs")
        assert name == "postgresql-backup"
        pod = {"initContainers": [{**STEP, "name": "dump"}], "containers": [STEP]}
        job = {"activeDeadlineSeconds": 1, "template": {"spec": pod}}
        spec = {"schedule": "0 3 * * *", "jobTemplate": {"metadata": {"labels": {}}, "spec": job}}
        last = self.last_backup.isoformat() if self.last_backup else None
        metadata = {"name": name, "uid": "cron-uid"}
        return model(
            "V1CronJob",
            {"metadata": metadata, "spec": spec, "status": {"lastSuccessfulTime": last}},
        )

    def jobs(self) -> list[Any]:
        self.allow("list jobs")
        if self.interrupt_after == self.calls:
            raise Killed  # before it could see the end of what it made
        found = [model("V1Job", job) for job in self._jobs.values()]
        for job in self._jobs.values():
            self._end(job)
        return found

    def _end(self, job: dict[str, Any]) -> None:
        if job["status"]:
            return
        asked, end = job["metadata"]["annotations"]["ado.ops/asked"], "Complete"
        if asked == "backup":
            self.last_backup = datetime.now(UTC)
        elif asked == "list":
            pass
        elif self.rows and "--clean" not in asked:
            end = "Failed"
        else:
            assert not any(each["status"]["replicas"] for each in self.readers.values())
            self.rows.add(asked.split()[1])
        job["status"] = {"conditions": [{"type": end, "status": "True"}]}

    def create_job(self, manifest: dict[str, Any]) -> None:
        name = manifest["metadata"]["name"]
        assert name not in self._jobs
        self.change(f"make Job {manifest['metadata']['annotations']['ado.ops/asked']}")
        self._jobs[name] = json.loads(json.dumps(manifest)) | {"status": {}}

    def delete_job(self, name: str) -> None:
        self.change(f"delete Job {name}")
        del self._jobs[name]

    def pods_of(self, job: Any) -> list[Any]:
        assert job
        status = {"containerStatuses": [_CONTAINER | _ENDED]}
        return [model("V1Pod", {"metadata": {"name": "pod"}, "status": status})]

    def log(self, pod: str, container: str) -> str:
        return f"{BACKUP}\n{pod} {container}"

    def plain(self, found: Any) -> Any:
        return API.sanitize_for_serialization(found)

    def annotate_deployment(self, name: str, annotation: str, value: str | None) -> None:
        self.change(f"{name}: {annotation} is {value}")
        annotations = self.readers[name]["metadata"].setdefault("annotations", {})
        annotations.pop(annotation, None)
        if value is not None:
            annotations[annotation] = value

    def scale(self, deployment: str, replicas: int) -> None:
        self.change(f"{deployment}: {replicas} pods")
        self.readers[deployment]["spec"]["replicas"] = replicas
        self.readers[deployment]["status"].update(_pods(replicas))

    def disown_scale(self, deployment: str) -> None:
        self.change(f"{deployment}: the number of its pods is the stack's")

    def pods_of_deployment(self, deployment: Any) -> list[Any]:
        return super().pods_of_deployment(deployment) if deployment.status.replicas else []

    def replicas(self) -> dict[str, int]:
        """How many pods each writer has."""
        return {name: each["spec"]["replicas"] for name, each in self.readers.items()}

    def time_passes(self) -> None:
        super().time_passes()
        self.jobs()

    def up_with_refresh(self) -> None:
        """What `pulumi up --refresh` makes anew: as the stack has it."""
        for service in ("postgresql", "postgresql-ro"):
            self.services.setdefault(service, {})
        for key, value in {"password": "former", "database-url": url("former")}.items():
            self.secrets.setdefault(key, value)


class WorkerPools(Platform):
    """Pools of workers: all but `default` ask models by a gateway, with a key of their owner's.

    Of the pods that are replaced one more has ended at each look.
    """

    def __init__(self, *members: Member, pools: tuple[str, ...] = ("gpu",)) -> None:
        super().__init__(*members)
        self.readers = {"ado-worker": reader("ado-worker", 1)}
        self.readers |= {f"ado-worker-{pool}": _gated(f"ado-worker-{pool}") for pool in pools}
        self.kept: dict[str, str] | None = {"key": "sk-former"}
        self.revision = "1"
        self.owners: list[str] = []
        self.living: dict[str, list[dict[str, str] | None]] = {}
        self.living |= {name: [None, None] for name in self.readers}
        self.looks = 0

    def secret(self, name: str, key: str, *, remedy: str = "") -> Kept:
        assert name == "gateway-of-gpu"
        if self.kept is None or key not in self.kept:
            raise OpsError(f"There is no key {key} in Secret {name}; {remedy}.")
        return Kept(self.kept[key], self.revision, " and ".join(self.owners))

    def patch_secret(self, name: str, values: dict[str, str], *, version: str) -> None:
        if version != self.revision:
            raise OpsError(f"Somebody else has just changed Secret {name}")
        self.change(f"Secret {name}: {', '.join(values)}")
        self.write(values)

    def write(self, values: dict[str, str]) -> None:
        """As whoever keeps the Secret does it, too."""
        self.kept = {**(self.kept or {}), **values}
        self.revision = str(int(self.revision) + 1)

    def annotate_pods(self, deployment: str, annotation: str, value: str) -> None:
        self.change(f"roll {deployment}")
        template = self.readers[deployment]["spec"]["template"]
        template["metadata"] = {"annotations": {annotation: value}}

    def pods_of_deployment(self, deployment: Any) -> list[Any]:
        self.looks += 1
        name = deployment.metadata.name
        wanted = deployment.spec.template.metadata.annotations or {}
        had = self.living[name]
        late = [place for place, noted in enumerate(had) if noted != wanted]
        pods = [SimpleNamespace(metadata=SimpleNamespace(annotations=noted)) for noted in had]
        if late:
            had[late[0]] = dict(wanted)
        return pods


def _gated(name: str) -> dict[str, Any]:
    made = reader(name, 2, reads=False)
    key = {"name": "gateway-of-gpu", "items": [{"key": "key", "path": "key"}]}
    volumes = [{"name": "model-gateway", "projected": {"sources": [{"secret": key}]}}]
    made["spec"]["template"]["metadata"] = {}
    made["spec"]["template"]["spec"] |= {"volumes": volumes, "terminationGracePeriodSeconds": 300}
    return made
