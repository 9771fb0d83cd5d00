"""`ado-ops adopt`: a platform that lives on gets back the state that its stack has lost.

The engine itself makes that state, from the program, while the Kubernetes provider is told to write
manifests into a directory and not to a cluster: so names, parents, ids and protection are those of
a real `up`, and nothing is created that exists, which newer providers refuse. What only the lost
state knew comes from the cluster then: passwords that were generated, the key of the digests, and
as whom the provider has written each object. A refresh reads the rest, and changes nothing.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer
import yaml
from kubernetes import client
from pydantic.alias_generators import to_camel

from ado_infra import ownership
from ado_infra.ops import rights
from ado_infra.ops.errors import OpsError, begun
from ado_infra.ops.living import Document, LivingObjects
from ado_infra.ops.options import Context, DryRun, In, Stack, plan, say
from ado_infra.ops.target import Target

Living: TypeAlias = Callable[[str, str, str], Document | None]
"""API version, kind and the provider's id (`namespace/name`) → the manifest as it lives."""

GENERATED: Final = {
    "-database-password": ("postgresql", "password"),
    "-replication-password": ("postgresql", "replication-password"),
    "-redis-password": ("redis", "password"),
    "-digest-key": ("ado-digest-key", "hex"),
}
"""How the name of what was generated ends → Secret and key that have it, unless a Secret of others
has, which the stack names: then nobody reads what was generated."""
SECRETS: Final = {
    "ado:anthropicApiKey": ("ado-agent-credentials", "anthropic-api-key"),
    "ado:googleApiKey": ("ado-agent-credentials", "google-api-key"),
    "ado:databasePassword": ("postgresql", "password"),
    "ado:databaseUrl": ("ado-secrets", "database-url"),
    "ado:redisPassword": ("redis", "password"),
    "ado:redisUrl": ("ado-secrets", "redis-url"),
    "ado:objectStorageAccessKey": ("ado-object-storage", "access-key"),
    "ado:objectStorageSecretKey": ("ado-object-storage", "secret-key"),
    "ado:backupAccessKey": ("postgresql-backup", "access-key"),
    "ado:backupSecretKey": ("postgresql-backup", "secret-key"),
    "ado:registryPassword": ("ado-registry", "password"),
}
"""Secret of the stack's config → Secret and key that have it."""
_CLUSTER: Final = ("kubeconfig", "context", "cluster")
"""What the provider refuses beside `renderYamlToDirectory`."""
_RENDER: Final = "renderYamlToDirectory"
_PROVIDER: Final = "pulumi:providers:kubernetes"
_MANAGER: Final = "pulumi-kubernetes"
"""How the provider's field managers begin."""
_SIGNATURE: Final = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
"""What marks a secret in a state."""


@dataclass(frozen=True)
class Pulumi:
    """The `pulumi` on PATH, for one stack of the project in the current directory."""

    stack: str

    def run(self, *arguments: str, given: str = "", **environment: str) -> str:
        """What a command prints that reads `given`.

        Raises OpsError with all that it said when it fails.
        """
        try:
            done = subprocess.run(
                ["pulumi", *arguments, "--stack", self.stack, "--non-interactive"],
                env=os.environ | environment,
                input=given,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            raise OpsError("There is no `pulumi` on PATH.") from None
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip()
            raise OpsError(f"`pulumi {' '.join(arguments[:2])}` failed:\n{said}")
        return done.stdout

    def state(self) -> Document:
        """The state of the stack, secrets encrypted."""
        exported: Document = json.loads(self.run("stack", "export"))
        exported["deployment"] = exported.get("deployment") or {}
        return exported

    def replace_state(self, state: Document, resources: Sequence[Document]) -> None:
        """Has these resources be the stack's."""
        deployment = state["deployment"] | {"resources": list(resources)}
        self.run("stack", "import", given=json.dumps(state | {"deployment": deployment}))


def adopt(
    stack: Stack,
    context: Context = None,
    namespace: In = None,
    *,
    dry_run: DryRun = False,
    secrets: Annotated[
        bool,
        typer.Option("--secrets", help="First set the stack file's secrets to what lives."),
    ] = False,
) -> None:
    """Make the lost state of a stack anew, for the platform that lives; changes nothing of it."""
    target = Target(stack=stack, context=context, given_namespace=namespace)
    namespace = target.namespace
    settings, pulumi = target.settings(), Pulumi(stack)
    api = target.reach(*rights.ADOPTION).api
    living = reader(api)
    if living("v1", "ConfigMap", f"{namespace}/{ownership.CONFIG_MAP}") is None:
        raise OpsError(f"No platform lives in namespace {namespace}; `pulumi up` deploys one.")
    before = pulumi.state()
    known = _known(before)
    if known and not _unfinished(before):
        raise OpsError(
            f"Stack {stack} has a state of {len(known)} resources: it is not lost. "
            "`pulumi up --refresh` makes it follow the cluster."
        )
    if dry_run:
        plan(
            "make the state of all that the program has, without the cluster",
            "put in what was generated, and the field managers, as they live",
            "refresh it",
        )
        return
    with begun():
        if secrets:
            for key, value in given_secrets(settings, living, namespace):
                say(f"Setting {key} to what lives.")
                pulumi.run("config", "set", "--secret", key, given=value)
        if known:
            pulumi.replace_state(before, ())
        say("Making the state, without the cluster.")
        _make(pulumi, target)
        made = pulumi.state()
        say("Putting in what lives.")
        cluster = cluster_settings(settings)
        pulumi.replace_state(
            made,
            [
                restored(each, living, namespace, cluster, settings.get("ado:secrets") or {})
                for each in made["deployment"]["resources"]
            ],
        )
    # Cut off from here on, the same command says what is left to do: the state is no longer lost.
    pulumi.run("refresh", "--yes", "--skip-preview")
    say(
        f"Stack {stack} has a state of {len(_known(pulumi.state()))} resources again; nothing that "
        f"lives was changed. See what would be, before anything is:\n"
        f"  pulumi preview --diff --stack {stack}\n  pulumi up --stack {stack}"
    )


def reader(api: client.ApiClient) -> Living:
    """Reads any object from the API server."""
    return LivingObjects(api).read


def given_secrets(
    settings: Mapping[str, Any], living: Living, namespace: str
) -> Iterator[tuple[str, str]]:
    """Every encrypted secret of the stack file that the cluster has, as it lives."""
    for key, (secret, part) in SECRETS.items():
        given = settings.get(key)
        if isinstance(given, dict) and "secure" in given:
            value = _value(living, namespace, secret, part)
            if value is not None:
                yield key, value


def cluster_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """Which cluster the stack names, in the provider's words.

    Raises OpsError when that is encrypted: the state would need it in plain text.
    """
    named = {key: settings.get(f"kubernetes:{key}") for key in _CLUSTER}
    for key, value in named.items():
        if value is not None and not isinstance(value, str):
            raise OpsError(
                f"kubernetes:{key} is encrypted in the stack file; say it in plain text, such as "
                "by kubernetes:context, while the state is made"
            )
    return {key: value for key, value in named.items() if isinstance(value, str)}


def rendering(document: Document, directory: Path, of_project: Collection[str] = ()) -> Document:
    """A stack file with which the provider writes to a directory, and to no cluster.

    What the project gives of the cluster, the keys `of_project`, can only be made empty.
    """
    without = {f"kubernetes:{key}" for key in _CLUSTER}
    config: Document = document.get("config") or {}
    kept = {key: value for key, value in config.items() if key not in without}
    empty = {key: "" for key in without if key in of_project}
    return document | {"config": kept | empty | {f"kubernetes:{_RENDER}": str(directory)}}


def restored(
    resource: Document,
    living: Living,
    namespace: str,
    cluster: Mapping[str, str],
    elsewhere: Collection[str] = (),
) -> Document:
    """A resource of the made state, with what only the lost one knew.

    `elsewhere`: what the stack names in Secrets of others.
    """
    kind: str = resource["type"]
    outputs: Document = resource.get("outputs") or {}
    if kind == _PROVIDER:
        parts = {part: resource.get(part) or {} for part in ("inputs", "outputs")}
        kept = {
            part: {key: value for key, value in values.items() if key != _RENDER} | dict(cluster)
            for part, values in parts.items()
        }
        return resource | kept
    if kind.startswith("random:"):
        generated = _generated(resource, living, namespace, elsewhere)
        return resource | {"outputs": outputs | generated}
    if kind.startswith("kubernetes:") and not resource.get("external"):
        found = living(outputs["apiVersion"], outputs["kind"], resource["id"])
        manager = found and field_manager(found)
        return resource | {"outputs": outputs | ({"__fieldManager": manager} if manager else {})}
    return resource


def field_manager(manifest: Document) -> str | None:
    """As whom the provider has written an object last; None where it has not."""
    entries = manifest["metadata"].get("managedFields") or ()
    own = [e for e in entries if e["manager"].startswith(_MANAGER) and not e.get("subresource")]
    last = max(own, key=lambda entry: entry.get("time") or "", default=None)
    return last and last["manager"]


def _generated(
    resource: Document, living: Living, namespace: str, elsewhere: Collection[str]
) -> Document:
    """The outputs of what was generated, as it lives."""
    name: str = resource["urn"].rpartition("::")[2]
    for end, (secret, key) in GENERATED.items():
        if not name.endswith(end):
            continue
        if to_camel(end.strip("-").replace("-", "_")) in elsewhere:
            return {}
        value = _value(living, namespace, secret, key)
        if value is None and end != "-digest-key":
            raise OpsError(
                f"No {key} lives in Secret {secret}, and another one would lock everybody out: put "
                "it back first."
            )
        if value is None:
            say(f"No {key} lives in Secret {secret}: {name} is a new one, and rolls its readers.")
            return {}
        if end == "-digest-key":
            as_base64 = base64.b64encode(bytes.fromhex(value)).decode()
            return {"hex": _secret(value), "base64": _secret(as_base64)}
        return {"result": _secret(value)}
    return {}


def _secret(value: str) -> Document:
    """A secret as a state has it that is to be imported; the engine encrypts it."""
    return _SIGNATURE | {"plaintext": json.dumps(value)}


def _value(living: Living, namespace: str, secret: str, key: str) -> str | None:
    found = living("v1", "Secret", f"{namespace}/{secret}") or {}
    encoded = (found.get("data") or {}).get(key)
    return None if encoded is None else base64.b64decode(encoded).decode()


def _known(state: Document) -> list[Document]:
    """What a stack has beside itself and its providers."""
    resources: list[Document] = state["deployment"].get("resources") or []
    return [each for each in resources if not each["type"].startswith("pulumi:")]


def _unfinished(state: Document) -> bool:
    """Whether an `adopt` was cut off: nothing that is in such a state was ever created."""
    resources: list[Document] = state["deployment"].get("resources") or []
    return any(_RENDER in (each.get("inputs") or {}) for each in resources)


def _make(pulumi: Pulumi, target: Target) -> None:
    """Has the engine make the state of all that the program has."""
    memory = Path("/dev/shm")  # noqa: S108 - manifests have secrets in plain text: on no disk
    where = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory(dir=where) as made:
        directory = Path(made)
        copy = directory / target.file.name
        document = rendering(
            yaml.safe_load(target.file.read_text(encoding="utf-8")) or {},
            directory / "manifests",
            target.config.of_project,
        )
        copy.write_text(yaml.safe_dump(document), encoding="utf-8")
        pulumi.run(
            *("up", "--config-file", str(copy), "--yes", "--skip-preview"),
            **_environment(target, directory / "kubeconfig"),
        )


def _environment(target: Target, file: Path) -> dict[str, str]:
    """What leads the engine to the target's cluster, with a kubeconfig `file` to be written."""
    kubeconfig = target.way.kubeconfig
    if kubeconfig is None:
        return {}  # in a pod
    # The first file that names a context decides; the stack's own cannot be given.
    document = dict(kubeconfig.document or {}) | {"current-context": target.cluster}
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return {"KUBECONFIG": os.pathsep.join(map(str, (file, *kubeconfig.paths)))}
