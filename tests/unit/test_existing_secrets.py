"""Secrets that others keep: nothing of them is made, everybody reads them where they are."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pulumi
import pytest
from pulumi.runtime import settings as runtime

from ado_infra import AdoPlatform, AdoPlatformArgs, StackSecrets, load_stack
from ado_infra.existing_secrets import problems, warn_of_absent
from ado_infra.external_secrets import CRD
from ado_infra.gaps import gaps
from ado_infra.policies import findings
from ado_infra.render.rendering import render
from ado_infra.secrets import ConfigSecret
from ado_infra.settings import SecretSettings, Settings
from ado_infra.settings.secrets import OWN_SECRETS
from tests.support.manifests import checksums, container, environment, pod
from tests.support.recording import (
    SECRETS,
    Recording,
    configure,
    merged,
    record,
    record_stack,
    settings_of,
    stack_config,
)
from tests.unit.render.test_render import project

ROOM = "ado:secrets"
STORED = {"ado:postgres": {"backup": {"bucket": "backups"}}}
EVERY = {
    "anthropicApiKey": {"secret": "models", "key": "anthropic"},
    "googleApiKey": {"secret": "models"},
    "databasePassword": {"secret": "database"},
    "replicationPassword": {"secret": "database"},
    "redisPassword": {"secret": "cache", "key": "auth"},
    "objectStorageAccessKey": {"secret": "storage"},
    "objectStorageSecretKey": {"secret": "storage"},
    "backupAccessKey": {"secret": "backup-storage", "key": "id"},
    "backupSecretKey": {"secret": "backup-storage", "key": "secret"},
}
"""Of every secret of a stack whose stores are its own."""
URLS = {"databaseUrl": {"secret": "urls"}, "redisUrl": {"secret": "urls", "key": "cache"}}
EXTERNAL = {"ado:postgres": '{"mode": "external"}', "ado:redis": '{"mode": "external"}'}
IDENTITY = {"ado:objectStorage": {"credentials": "workloadIdentity"}}
MODELS = {key: value for key, value in SECRETS.items() if key.endswith("ApiKey")}
REMOTE = {
    "store": {"name": "vault"},
    "anthropicApiKey": {"secret": "models", "remote": {"key": "prod/ado", "property": "anthropic"}},
    "googleApiKey": {"secret": "models", "key": "google", "remote": {"key": "prod/google"}},
}


def _stack(name: str = "prod", *, named: Mapping[str, Any] = EVERY, **more: Any) -> Recording:
    changes = merged({**STORED, ROOM: named}, more.pop("changes", {}))
    return record_stack(name, changes=changes, secrets=more.pop("secrets", {}))


@pytest.fixture(scope="module")
def every() -> Recording:
    return _stack()


def _settings(named: Mapping[str, Any]) -> Settings:
    """Those of dev, with this in the section, whatever the stack gives."""
    room = SecretSettings.model_validate_json(json.dumps(named), by_name=False)
    return settings_of("dev").model_copy(update={"secrets": room})


def _refusal(changes: dict[str, Any], secrets: Mapping[str, str] = SECRETS) -> list[str]:
    configure(merged(stack_config("prod"), changes), secrets)
    with pytest.raises(pulumi.RunError) as refused:
        load_stack()
    return str(refused.value).splitlines()


def _files(recording: Recording, workload: str, volume: str) -> dict[str, str]:
    """File → the Secret and key that it is, of a volume that is put together."""
    (found,) = [each for each in pod(recording, workload)["volumes"] if each["name"] == volume]
    assert found["projected"]["defaultMode"] == 0o440
    return {
        item["path"]: f"{source['secret']['name']}/{item['key']}"
        for source in found["projected"]["sources"]
        for item in source["secret"]["items"]
    }


class TestReaders:
    def test_no_secret_is_made_but_that_of_the_digests(self, every: Recording) -> None:
        assert [each["metadata"]["name"] for each in every.of_kind("Secret")] == ["ado-digest-key"]

    def test_what_is_made_else_is_what_is_made_ever(self, every: Recording) -> None:
        usual = record_stack("prod", changes=STORED)
        secrets = {("Secret", name) for name in OWN_SECRETS}
        assert every.keys() == usual.keys() - secrets | {("Secret", "ado-digest-key")}

    @pytest.mark.parametrize("stack", ["dev", "prod"])
    def test_it_is_valid_and_obeys_the_policies(self, stack: str, tmp_path: Path) -> None:
        changes = {**STORED, ROOM: EVERY, "ado:monitoring": {"serviceMonitor": False}}
        config = merged(stack_config(stack), changes)
        objects = render(project(tmp_path, stack=stack, config=config), stack)
        secrets = [each for each in objects.objects if each.kind == "Secret"]
        assert [each.name for each in secrets] == ["ado-digest-key"]
        for each in objects.objects:
            kubernetes_validate.validate(dict(each.manifest), "1.37", strict=True)
        assert findings(objects.objects, production=False) == []

    def test_the_files_of_pods_are_single_keys(self, every: Recording) -> None:
        assert _files(every, "ado-worker", "agent-credentials") == {
            "anthropic-api-key": "models/anthropic",
            "google-api-key": "models/google-api-key",
        }
        passwords = {
            "password": "database/password",
            "replication-password": "database/replication-password",
        }
        assert _files(every, "postgresql", "passwords") == passwords
        assert _files(every, "redis", "password") == {"password": "cache/auth"}

    def test_the_variables_of_pods_are_single_keys(self, every: Recording) -> None:
        told = environment(every, "ado-orchestrator")
        assert told["AWS_ACCESS_KEY_ID"] == "Secret storage/access-key"
        assert told["AWS_SECRET_ACCESS_KEY"] == "Secret storage/secret-key"
        (upload,) = every.only("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"][
            "containers"
        ]
        keys = {
            each["name"]: each["valueFrom"]["secretKeyRef"]
            for each in upload["env"]
            if "valueFrom" in each
        }
        assert keys == {
            "AWS_ACCESS_KEY_ID": {"name": "backup-storage", "key": "id"},
            "AWS_SECRET_ACCESS_KEY": {"name": "backup-storage", "key": "secret"},
        }

    def test_a_url_is_put_together_from_the_variable_before_it(self, every: Recording) -> None:
        for tier in ("ado-api-gateway", "ado-orchestrator"):
            told = environment(every, tier)
            assert told["DATABASE_PASSWORD"] == "Secret database/password"
            assert told["DATABASE_URL"] == (
                "postgresql://ado:$(DATABASE_PASSWORD)@postgresql:5432/ado"
            )
            assert told["REDIS_URL"] == "redis://:$(REDIS_PASSWORD)@redis:6379/0"
            # The kubelet puts in only what stands before.
            names = [each["name"] for each in container(every, tier)["env"]]
            assert names.index("DATABASE_PASSWORD") < names.index("DATABASE_URL")
            assert names.index("REDIS_PASSWORD") < names.index("REDIS_URL")

    def test_nobody_rolls_by_a_digest_of_what_cannot_be_seen(self, every: Recording) -> None:
        assert checksums(every, "ado-api-gateway").keys() == {"checksum/config"}
        assert checksums(every, "postgresql").keys() == {"checksum/config"}

    def test_urls_of_external_stores_are_read_where_they_are(self) -> None:
        named = {key: EVERY[key] for key in ("anthropicApiKey", "googleApiKey")}
        keys = {key: value for key, value in EVERY.items() if key.startswith("objectStorage")}
        stack = record_stack(
            "prod", changes={**EXTERNAL, ROOM: {**named, **keys, **URLS}}, secrets={}
        )
        assert [each["metadata"]["name"] for each in stack.of_kind("Secret")] == ["ado-digest-key"]
        told = environment(stack, "ado-api-gateway")
        assert told["DATABASE_URL"] == "Secret urls/database-url"
        assert told["REDIS_URL"] == "Secret urls/cache"

    def test_some_may_be_here_and_some_there(self) -> None:
        given = {key: value for key, value in SECRETS.items() if key != "ado:googleApiKey"}
        named = {"googleApiKey": EVERY["googleApiKey"], "databasePassword": {"secret": "database"}}
        stack = _stack(named=named, secrets=given)
        assert _files(stack, "ado-worker", "agent-credentials") == {
            "anthropic-api-key": "ado-agent-credentials/anthropic-api-key",
            "google-api-key": "models/google-api-key",
        }
        assert stack.get("Secret", "ado-agent-credentials")["data"].keys() == {"anthropic-api-key"}
        assert stack.get("Secret", "postgresql")["data"].keys() == {"replication-password"}
        assert stack.get("Secret", "ado-secrets")["data"].keys() == {"redis-url"}
        rolled = checksums(stack, "ado-worker")
        other = {**given, "ado:anthropicApiKey": "sk-ant-other"}
        assert checksums(_stack(named=named, secrets=other), "ado-worker") != rolled

    def test_those_are_the_names_of_the_secrets_that_the_platform_makes(self) -> None:
        given = {f"ado:{key}": "given" for key in ConfigSecret if not key.endswith("Url")}
        changes = {**STORED, "ado:images": {"registryUser": "robot"}}
        stack = record_stack("prod", changes=changes, secrets=given)
        made = {each["metadata"]["name"] for each in stack.of_kind("Secret")}
        assert made == set(OWN_SECRETS)


class TestRefusals:
    def test_a_secret_is_given_in_one_way(self) -> None:
        _, problem, remedy = _refusal({ROOM: {"googleApiKey": {"secret": "models"}}})
        assert problem == (
            "  ado:googleApiKey is given, and ado:secrets.googleApiKey names it in a Secret; keep "
            "one"
        )
        assert remedy == "    pulumi config rm ado:googleApiKey"

    def test_a_program_gives_a_secret_in_one_way_too(self) -> None:
        settings = _settings({"redisPassword": {"secret": "x"}})
        secrets = StackSecrets(redis_password=pulumi.Output.secret("canary"))
        made = Recording()
        with pytest.raises(pulumi.RunError, match=r"ado:secrets\.redisPassword names it in a Sec"):
            record(
                lambda: AdoPlatform("a", AdoPlatformArgs(settings=settings, secrets=secrets)),
                into=made,
            )
        assert made.objects == []

    @pytest.mark.parametrize(
        ("changes", "key", "reason"),
        [
            ({}, "databaseUrl", "ado:postgres.mode = internal"),
            ({}, "backupAccessKey", "there is no ado:postgres.backup"),
            (
                {"ado:objectStorage": {"credentials": "workloadIdentity"}},
                "objectStorageSecretKey",
                "ado:objectStorage.credentials = workloadIdentity",
            ),
        ],
    )
    def test_what_nobody_reads(self, changes: dict[str, Any], key: str, reason: str) -> None:
        given = MODELS if "ado:objectStorage" in changes else SECRETS
        refusal = _refusal({**changes, ROOM: {key: {"secret": "x"}}}, given)
        assert f"  ado:secrets.{key} is given and not read; {reason}" in refusal
        assert f"    pulumi config rm --path 'ado:secrets.{key}'" in refusal

    def test_the_replication_password_of_an_external_database(self) -> None:
        changes = {"ado:postgres": '{"mode": "external"}'}
        named = {"replicationPassword": {"secret": "x"}, "databaseUrl": {"secret": "x"}}
        assert _refusal({**changes, ROOM: named})[1] == (
            "  ado:secrets.replicationPassword is given and not read; ado:postgres.mode = external"
        )

    def test_half_of_a_pair(self) -> None:
        named = {"backupAccessKey": {"secret": "x"}}
        assert _refusal({**STORED, ROOM: named})[1:] == [
            "  ado:backupSecretKey is missing; the other of the two keys is given",
            "    pulumi config set --secret ado:backupSecretKey",
        ]

    @pytest.mark.parametrize("name", OWN_SECRETS)
    def test_a_secret_of_the_platforms_own(self, name: str) -> None:
        told = "\n".join(_refusal({ROOM: {"databasePassword": {"secret": name}}}))
        assert f'ado:secrets.databasePassword.secret = "{name}": is a Secret of the plat' in told

    @pytest.mark.parametrize(
        ("named", "told"),
        [
            ({"googleApiKey": {"key": "x"}}, "googleApiKey.secret is missing"),
            ({"googleApiKey": {"secret": "x", "key": "a/b"}}, "String should match pattern"),
            (
                {"googleApiKey": {"secret": "x", "remote": {"key": "x"}}},
                "ado:secrets: googleApiKey has a remote, and there is no store.name",
            ),
            ({"store": {"name": "vault"}}, "ado:secrets: has a store, and nothing with a remote"),
            (
                {**REMOTE, "databasePassword": {"secret": "models"}},
                "name Secret models, some with a remote and some without",
            ),
            (
                {**REMOTE, "databasePassword": {**REMOTE["googleApiKey"], "remote": {"key": "y"}}},
                "key google of Secret models, which has another remote already",
            ),
        ],
    )
    def test_what_does_not_fit_together(self, named: dict[str, Any], told: str) -> None:
        secrets = {key: SECRETS[key] for key in SECRETS if key.startswith("ado:object")}
        assert told in "\n".join(_refusal({ROOM: named}, secrets))


class TestWorkloadIdentity:
    def test_production_demands_no_keys_then(self) -> None:
        stack = record_stack("prod", changes=IDENTITY, secrets=MODELS)
        assert not [each for each in environment(stack, "ado-worker") if each.startswith("AWS_")]
        assert not stack.get("Secret", "ado-object-storage").get("data")
        assert not [warning for warning in stack.warnings if "object storage" in warning]

    def test_keys_that_are_given_all_the_same_are_refused(self) -> None:
        refusal = _refusal(IDENTITY)
        assert len(refusal) == 5
        assert refusal[1] == (
            "  ado:objectStorageAccessKey is given and not read; "
            "ado:objectStorage.credentials = workloadIdentity"
        )

    def test_the_backup_may_have_keys_of_its_own(self) -> None:
        keys = {"ado:backupAccessKey": "AKIA-backup", "ado:backupSecretKey": "canary"}
        stack = record_stack("prod", changes={**IDENTITY, **STORED}, secrets={**MODELS, **keys})
        assert stack.get("Secret", "postgresql-backup")["data"].keys() == {
            "access-key",
            "secret-key",
        }

    def test_without_it_a_gap_is_named(self) -> None:
        told = list(gaps(settings_of("dev"), StackSecrets()))
        assert [line for line in told if "No credentials for object storage" in line]


@pytest.fixture(scope="module")
def remote() -> Recording:
    given = {key: value for key, value in SECRETS.items() if not key.endswith("ApiKey")}
    return record_stack("prod", changes={ROOM: REMOTE}, secrets=given)


class TestExternalSecrets:
    def test_the_operator_is_asked_for_each_secret_once(self, remote: Recording) -> None:
        asked = remote.only("ExternalSecret")
        assert asked["apiVersion"] == "external-secrets.io/v1"
        assert asked["metadata"]["name"] == "models"
        defaults = {
            "conversionStrategy": "Default",
            "decodingStrategy": "None",
            "metadataPolicy": "None",
        }
        google, anthropic = {"key": "prod/google"}, {"key": "prod/ado", "property": "anthropic"}
        assert asked["spec"] == {
            "refreshInterval": "1h",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": "vault"},
            "target": {"creationPolicy": "Owner", "deletionPolicy": "Retain"},
            "data": [
                {"secretKey": "anthropic-api-key", "remoteRef": {**anthropic, **defaults}},
                {"secretKey": "google", "remoteRef": {**google, **defaults}},
            ],
        }

    def test_pods_read_what_it_writes(self, remote: Recording) -> None:
        assert _files(remote, "ado-worker", "agent-credentials") == {
            "anthropic-api-key": "models/anthropic-api-key",
            "google-api-key": "models/google",
        }
        assert "ado-agent-credentials" not in {
            each["metadata"]["name"] for each in remote.of_kind("Secret")
        }

    def test_its_definition_is_needed_before_anything_is_made(
        self, remote: Recording, prod: Recording
    ) -> None:
        assert CRD in {name for _, name in remote.read}
        assert CRD not in {name for _, name in prod.read}


KUBECTL = """#!/bin/sh
echo "$@" >>"$SAID"
cat "$ANSWER"
[ -z "$COMPLAINT" ] || { echo "$COMPLAINT" >&2; exit 1; }
"""
CANARY = "p@ss/canary"


def _secret(name: str, **data: str) -> dict[str, Any]:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"kind": "Secret", "metadata": {"name": name}, "data": encoded}


class TestPreview:
    """What a preview says of Secrets that are named, by a kubectl that is a few lines of shell."""

    @pytest.fixture(autouse=True)
    def kubectl(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        program = tmp_path / "bin" / "kubectl"
        program.parent.mkdir()
        program.write_text(KUBECTL)
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        for name in ("SAID", "ANSWER"):
            monkeypatch.setenv(name, str(tmp_path / name))
            (tmp_path / name).touch()
        monkeypatch.setenv("COMPLAINT", "")
        return tmp_path

    def _preview(
        self,
        named: Mapping[str, Any] | Settings,
        monkeypatch: pytest.MonkeyPatch,
        **config: str,
    ) -> Recording:
        settings = named if isinstance(named, Settings) else _settings(named)
        pulumi.runtime.set_all_config({f"kubernetes:{key}": text for key, text in config.items()})
        made = Recording()

        def program() -> None:
            monkeypatch.setattr(runtime.SETTINGS, "dry_run", True)
            warn_of_absent(settings, pulumi.ComponentResource("a:b:C", "platform"))

        record(program, into=made)
        return made

    def test_a_secret_that_is_not_there(
        self, kubectl: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        named = {"anthropicApiKey": EVERY["anthropicApiKey"], "googleApiKey": {"secret": "models"}}
        made = self._preview(named, monkeypatch, context="my cluster")
        (warning,) = made.warnings
        assert warning == (
            "Secret models is not there, which ado:secrets.anthropicApiKey, "
            "ado:secrets.googleApiKey names; whoever reads it waits for it\n"
            "    kubectl '--context=my cluster' -n ado-system create secret generic models "
            "--from-file=anthropic=FILE --from-file=google-api-key=FILE"
        )
        asked = (kubectl / "SAID").read_text()
        assert asked.startswith("--context=my cluster -n ado-system --request-timeout=5s get secre")

    def test_a_key_that_is_not_there(self, kubectl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (kubectl / "ANSWER").write_text(json.dumps(_secret("models", a=CANARY, b="x")))
        made = self._preview({"googleApiKey": {"secret": "models"}}, monkeypatch)
        (warning,) = made.warnings
        assert warning == (
            "Secret models has no key google-api-key, which ado:secrets.googleApiKey names (it "
            "has: a, b); name another, or add it\n"
            "    pulumi config set --path 'ado:secrets.googleApiKey.key' KEY\n"
            "    kubectl -n ado-system edit secret models"
        )

    def test_the_key_of_a_model_gateway(
        self, kubectl: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gateway = {"url": "http://models:4000", "keySecret": "of-gpu"}
        gpu = {"image": {"tag": "1.0"}, "modelGateway": gateway}
        settings = settings_of("dev", {"ado:workerPools": {"gpu": gpu}})
        setting = "ado:workerPools.gpu.modelGateway.keySecret"
        answers = {
            "": (
                f"Secret of-gpu is not there, which {setting} names; whoever reads it waits for "
                "it\n    kubectl -n ado-system create secret generic of-gpu --from-file=key=FILE"
            ),
            json.dumps(_secret("of-gpu", token=CANARY)): (
                f"Secret of-gpu has no key key, which {setting} names (it has: token); add it\n"
                "    kubectl -n ado-system edit secret of-gpu"
            ),
            json.dumps(_secret("of-gpu", key=f"{CANARY}\n")): (
                f"Secret of-gpu, key key, which {setting} names, ends with a line break, as `echo` "
                "makes one; set it without\n    kubectl -n ado-system edit secret of-gpu"
            ),
        }
        for answer, told in answers.items():
            (kubectl / "ANSWER").write_text(answer)
            assert self._preview(settings, monkeypatch).warnings == [told]
        (kubectl / "ANSWER").write_text(json.dumps(_secret("of-gpu", key=CANARY)))
        assert self._preview(settings, monkeypatch).warnings == []

    @pytest.mark.parametrize(
        ("value", "told"),
        [
            (CANARY, "has other characters than letters, digits and -._~"),
            ("canary\n", "ends with a line break"),
            ("", "is empty"),
        ],
    )
    def test_a_value_that_does_not_do_is_named_and_not_shown(
        self, value: str, told: str, kubectl: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        items = [_secret("cache", auth=value), _secret("database", password="Fine-._~1")]
        (kubectl / "ANSWER").write_text(json.dumps({"kind": "List", "items": items}))
        named = {key: EVERY[key] for key in ("redisPassword", "databasePassword")}
        (warning,) = self._preview(named, monkeypatch).warnings
        assert warning.startswith("Secret cache, key auth, which ado:secrets.redisPassword names, ")
        assert told in warning
        assert "canary" not in warning

    def test_any_sign_may_be_in_what_goes_into_no_url(
        self, kubectl: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (kubectl / "ANSWER").write_text(json.dumps(_secret("models", key=CANARY)))
        named = {"googleApiKey": {"secret": "models", "key": "key"}}
        assert self._preview(named, monkeypatch).warnings == []

    @pytest.mark.parametrize("why", ["Forbidden", "answer", "no kubectl"])
    def test_where_nobody_can_tell_that_is_no_warning(
        self,
        why: str,
        kubectl: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        said: list[str] = []
        monkeypatch.setattr(pulumi.log, "info", said.append)
        if why == "Forbidden":
            monkeypatch.setenv("COMPLAINT", "Error from server (Forbidden): secrets is forbidden")
        elif why == "answer":
            (kubectl / "ANSWER").write_text(CANARY)
        else:
            monkeypatch.setenv("PATH", str(kubectl))
        made = self._preview({"googleApiKey": {"secret": "models"}}, monkeypatch)
        assert made.warnings == []
        (told,) = said
        assert told.startswith("Not looked at: Secrets models (")
        assert "canary" not in told + capfd.readouterr().err

    def test_the_stacks_own_kubeconfig_is_asked_by(
        self, kubectl: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        named = {"googleApiKey": {"secret": "models"}}
        self._preview(named, monkeypatch, kubeconfig="./other", cluster="c")
        asked = (kubectl / "SAID").read_text()
        assert "--cluster=c --kubeconfig=./other " in asked
        self._preview(named, monkeypatch, kubeconfig='{"kind": "Config"}')
        kept = re.findall(r"--kubeconfig=(\S+\.kubeconfig) ", (kubectl / "SAID").read_text())
        assert len(kept) == 1
        assert not Path(kept[0]).exists()

    def test_an_up_a_rendering_and_a_stack_that_names_none_ask_nobody(
        self, kubectl: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _stack()
        self._preview({}, monkeypatch)
        self._preview(REMOTE, monkeypatch)  # those the operator is to write
        assert (kubectl / "SAID").read_text() == ""

    def test_a_program_with_a_provider_of_its_own_is_not_asked_for(
        self, kubectl: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = _settings({"googleApiKey": {"secret": "models"}})

        class Platform(pulumi.ComponentResource):
            def __init__(self) -> None:
                opts = pulumi.ResourceOptions(providers=[_provider()])
                super().__init__("a:b:C", "platform", {}, opts)

        def program() -> None:
            monkeypatch.setattr(runtime.SETTINGS, "dry_run", True)
            warn_of_absent(settings, Platform())

        record(program)
        assert (kubectl / "SAID").read_text() == ""


def _provider() -> pulumi.ProviderResource:
    from pulumi_kubernetes import Provider  # noqa: PLC0415 - a second, for one test

    return Provider("own", context="elsewhere")


def test_nothing_is_wrong_with_what_is_there() -> None:
    named = SecretSettings.model_validate(EVERY)
    wanted: dict[str, dict[str, Any]] = {}
    found: dict[str, dict[str, bytes]] = {}
    for setting, reference in named.references:
        wanted.setdefault(reference.secret, {})[f"ado:secrets.{setting}"] = reference
        found.setdefault(reference.secret, {})[str(reference.key)] = b"abc"
    assert list(problems(wanted, found, "kubectl")) == []
