"""`ado-ops adopt`: what becomes of a state that the engine has made without the cluster."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from ado_infra.ops import adoption, cli, target
from ado_infra.ops.adoption import GENERATED, SECRETS, Document, Pulumi
from ado_infra.ops.errors import OpsError
from ado_infra.secrets import ConfigSecret
from tests.support import kubeconfigs
from tests.support.recording import record_stack

KEY = "0f" * 32
NAMED = {"context": "far away"}
DATA = {
    "postgresql": {"password": "living", "replication-password": "living too"},
    "redis": {"password": "living as well"},
    "ado-digest-key": {"hex": KEY},
    "ado-agent-credentials": {"anthropic-api-key": "sk-living"},
}


def _manifest(*managers: Mapping[str, Any], data: Mapping[str, str] | None = None) -> Document:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in (data or {}).items()}
    return {"metadata": {"managedFields": list(managers)}, "data": encoded}


def living(api_version: str, kind: str, identifier: str) -> Document | None:
    namespace, _, name = identifier.partition("/")
    if (api_version, kind, namespace) != ("v1", "Secret", "ado-system") or name not in DATA:
        return None
    return _manifest({"manager": "pulumi-kubernetes-1a2b", "time": "2026-01-01"}, data=DATA[name])


def nothing(*_: str) -> None:
    return None


def _generated(name: str) -> Document:
    kind = "randomBytes:RandomBytes" if name.endswith("key") else "randomPassword:RandomPassword"
    urn = f"urn:pulumi:prod::ado::ado:index:AdoPlatform$random:index/{kind}::{name}"
    return {"type": f"random:index/{kind}", "urn": urn, "outputs": {"length": 32, "result": "new"}}


def _restored(resource: Document, seen: adoption.Living = living) -> Document:
    return adoption.restored(resource, seen, "ado-system", NAMED)


def _plain(secret: Mapping[str, str]) -> str:
    (text,) = (value for key, value in secret.items() if key == "plaintext")
    assert len(secret) == 2  # the other one is what marks it as a secret
    return json.loads(text)


@pytest.mark.parametrize("end", [end for end in GENERATED if "password" in end])
def test_a_password_that_was_generated_is_again_what_it_was(end: str) -> None:
    outputs = _restored(_generated(f"ado-stores{end}"))["outputs"]
    secret, key = GENERATED[end]
    assert _plain(outputs["result"]) == DATA[secret][key]
    assert outputs["length"] == 32


@pytest.mark.parametrize("end", [end for end in GENERATED if "password" in end])
def test_a_password_that_others_keep_is_not_asked_for(end: str) -> None:
    resource = _generated(f"ado-stores{end}")
    with pytest.raises(OpsError, match="would lock everybody out"):
        adoption.restored(resource, nothing, "ado-system", NAMED)
    named = {"databasePassword", "replicationPassword", "redisPassword"}
    made = adoption.restored(resource, nothing, "ado-system", NAMED, named)
    assert made == resource


def test_the_digest_key_is_again_what_it_was() -> None:
    outputs = _restored(_generated("ado-digest-key"))["outputs"]
    assert _plain(outputs["hex"]) == KEY
    assert base64.b64decode(_plain(outputs["base64"])).hex() == KEY


def test_what_no_secret_has_is_new_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    made = _generated("ado-digest-key")
    assert _restored(made, nothing) == made
    assert "Secret ado-digest-key: ado-digest-key is a new one" in capsys.readouterr().out


def test_the_cluster_has_all_that_is_generated_and_all_that_is_given() -> None:
    given = {key: "given" for key in SECRETS if not key.endswith("Url")}
    read = {
        "ado:postgres": {"backup": {"bucket": "backups"}},
        "ado:images": {"registryUser": "robot"},
    }
    recorded = record_stack("prod", changes=read, secrets=given).resources
    random = [each.name for each in recorded if each.type.startswith("random:")]
    ends = {end for name in random for end in GENERATED if name.endswith(end)}
    assert len(random) == len(ends) == len(GENERATED)
    assert {key.removeprefix("ado:") for key in SECRETS} == set(ConfigSecret)
    data = {
        (each.key[1], key)
        for each in recorded
        if each.key[0] == "Secret"
        for key in each.manifest["data"]
    }
    assert {*GENERATED.values(), *SECRETS.values()} <= data


def test_an_object_is_written_as_by_whom_it_was_last() -> None:
    resource = {
        "type": "kubernetes:core/v1:Secret",
        "id": "ado-system/postgresql",
        "outputs": {
            "apiVersion": "v1",
            "kind": "Secret",
            "__fieldManager": "pulumi-kubernetes-new",
        },
    }
    assert _restored(resource)["outputs"]["__fieldManager"] == "pulumi-kubernetes-1a2b"
    assert _restored(resource, nothing) == resource


def test_the_last_of_the_providers_managers_counts_and_nobody_else() -> None:
    managers = [
        {"manager": "pulumi-kubernetes-old", "time": "2026-01-01T00:00:00Z"},
        {"manager": "pulumi-kubernetes-last", "time": "2026-01-02T00:00:00Z"},
        {"manager": "ado-ops", "time": "2026-01-03T00:00:00Z"},
        {"manager": "pulumi-kubernetes-x", "time": "2026-01-03T00:00:00Z", "subresource": "status"},
    ]
    assert adoption.field_manager(_manifest(*managers)) == "pulumi-kubernetes-last"
    assert adoption.field_manager(_manifest({"manager": "ado-ops"})) is None
    assert adoption.field_manager({"metadata": {}}) is None


def test_the_provider_is_led_back_to_the_cluster() -> None:
    inputs = {"version": "4.34.2", "renderYamlToDirectory": "/made"}
    provider = {"type": "pulumi:providers:kubernetes", "inputs": inputs, "outputs": inputs}
    again = {"version": "4.34.2", **NAMED}
    assert _restored(provider) == {**provider, "inputs": again, "outputs": again}


@pytest.mark.parametrize(
    "resource",
    [
        {"type": "ado:index:AdoPlatform"},
        {"type": "pulumi:providers:random", "inputs": {"version": "4"}},
        {"type": "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", "external": True},
    ],
)
def test_all_else_stays_as_it_was_made(resource: Document) -> None:
    assert _restored(resource) == resource


def test_the_stack_file_that_is_rendered_names_no_cluster(tmp_path: Path) -> None:
    document: Document = {
        "encryptionsalt": "v1:salt",
        "config": {"kubernetes:context": "far away", "ado:protectData": True},
    }
    assert adoption.rendering(document, tmp_path) == {
        "encryptionsalt": "v1:salt",
        "config": {"ado:protectData": True, "kubernetes:renderYamlToDirectory": str(tmp_path)},
    }
    assert adoption.cluster_settings(document["config"]) == NAMED


def test_what_the_project_names_of_a_cluster_is_made_empty(tmp_path: Path) -> None:
    made = adoption.rendering({}, tmp_path, {"kubernetes:context", "ado:profile"})
    assert made["config"]["kubernetes:context"] == ""
    assert "ado:profile" not in made["config"]


def test_an_encrypted_cluster_is_refused() -> None:
    with pytest.raises(OpsError, match="kubernetes:kubeconfig is encrypted"):
        adoption.cluster_settings({"kubernetes:kubeconfig": {"secure": "v1:…"}})


def test_only_secrets_that_the_stack_file_has_are_set_and_only_those_that_live() -> None:
    hidden = {"secure": "v1:…"}
    settings = {"ado:databasePassword": hidden, "ado:anthropicApiKey": hidden}
    settings |= {"ado:googleApiKey": hidden, "ado:profile": "production"}
    assert dict(adoption.given_secrets(settings, living, "ado-system")) == {
        "ado:databasePassword": "living",
        "ado:anthropicApiKey": "sk-living",
    }


def test_any_object_is_found_by_its_kind() -> None:
    asked: list[str] = []

    def answer(path: str) -> Document | None:
        asked.append(path)
        if path == "/apis/networking.k8s.io/v1":
            names = ("ingresses/status", "ingresses")
            return {"resources": [{"kind": "Ingress", "name": name} for name in names]}
        if path == "/api/v1":
            return {"resources": [{"kind": "Namespace", "name": "namespaces"}]}
        return {"found": path} if path.endswith(("/ado-ingress", "/ado-system")) else None

    def call_api(path: str) -> SimpleNamespace:
        found = answer(path)
        data, status = json.dumps(found), 200 if found else 404
        return SimpleNamespace(read=lambda: None, status=status, data=data)

    api: Any = SimpleNamespace(param_serialize=lambda _, path, **__: (path,), call_api=call_api)
    read = adoption.reader(api)
    path = "/apis/networking.k8s.io/v1/namespaces/ado-system/ingresses/ado-ingress"
    assert read("networking.k8s.io/v1", "Ingress", "ado-system/ado-ingress") == {"found": path}
    assert read("networking.k8s.io/v1", "Ingress", "ado-system/other") is None
    assert read("v1", "Namespace", "ado-system") == {"found": "/api/v1/namespaces/ado-system"}
    assert read("of.nobody/v1", "Thing", "ado-system/it") is None
    assert len(asked) == len(set(asked)), "what a group has is asked for once"


class TestCommand:
    """The command, with an engine and a cluster that only answer."""

    @pytest.fixture(autouse=True)
    def ran(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
        """What of `pulumi` was run; its state is in `self.resources`."""
        self.resources: list[Document] = []
        self.lives = True
        ran: list[tuple[str, ...]] = []

        def run(_: Pulumi, *arguments: str, given: str = "", **__: str) -> str:
            ran.append(arguments)
            if arguments == ("stack", "import"):
                self.resources = json.loads(given)["deployment"]["resources"]
            if arguments[0] == "up":
                rendered = {"renderYamlToDirectory": "/made"}
                provider = {"type": "pulumi:providers:kubernetes", "inputs": rendered}
                self.resources = [provider, {"type": "ado:index:AdoPlatform"}]
            return json.dumps({"version": 3, "deployment": {"resources": self.resources}})

        monkeypatch.setattr(Pulumi, "run", run)
        here = SimpleNamespace(api=None)
        monkeypatch.setattr(target.Target, "reach", lambda *_: here)
        monkeypatch.setattr(target.Target, "cluster", "here")
        seen = lambda *_: _manifest() if self.lives else None  # noqa: E731
        monkeypatch.setattr(adoption, "reader", lambda _: seen)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "Pulumi.yaml").write_text("name: ado\n")
        monkeypatch.setenv("KUBECONFIG", str(kubeconfigs.write(tmp_path / "kubeconfig", "here")))
        (tmp_path / "Pulumi.prod.yaml").write_text(
            yaml.safe_dump({"config": {"ado:databasePassword": {"secure": "v1:…"}}})
        )
        return ran

    @staticmethod
    def _adopt(*options: str) -> Result:
        return CliRunner().invoke(cli.app, ["adopt", "--stack", "prod", *options])

    def test_it_makes_a_state_that_writes_to_no_directory(self, ran: list[tuple[str, ...]]) -> None:
        done = self._adopt()
        assert done.exit_code == 0, done.output
        assert [each[0] for each in ran if each != ("stack", "export")] == [
            "up",
            "stack",
            "refresh",
        ]
        assert self.resources[0]["inputs"] == {}
        assert "pulumi preview --diff --stack prod" in done.output

    def test_it_begins_anew_where_one_was_cut_off(self, ran: list[tuple[str, ...]]) -> None:
        cut_off = {"type": "pulumi:providers:kubernetes", "inputs": {"renderYamlToDirectory": "/x"}}
        self.resources = [cut_off, {"type": "ado:index:AdoPlatform"}]
        assert self._adopt().exit_code == 0
        assert ran.index(("stack", "import")) < next(n for n, e in enumerate(ran) if e[0] == "up")

    def test_ctrl_c_says_that_the_same_command_goes_on(
        self, ran: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(adoption, "_make", interrupted)
        done = self._adopt()
        assert done.exit_code == 130
        assert done.stderr.endswith("Interrupted: the same command goes on from here.\n")
        assert ran == [("stack", "export")]

    @pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
    def test_a_state_that_is_not_lost_is_left_alone(
        self, ran: list[tuple[str, ...]], dry_run: tuple[str, ...]
    ) -> None:
        self.resources = [{"type": "ado:index:AdoPlatform"}]
        refused = self._adopt(*dry_run)
        assert isinstance(refused.exception, OpsError)
        assert "a state of 1 resources: it is not lost" in str(refused.exception)
        assert ran == [("stack", "export")]

    def test_where_nothing_lives_nothing_is_adopted(self, ran: list[tuple[str, ...]]) -> None:
        self.lives = False
        assert "No platform lives in namespace ado-system" in str(self._adopt().exception)
        assert ran == []

    def test_a_dry_run_changes_nothing(self, ran: list[tuple[str, ...]]) -> None:
        assert "1. make the state" in self._adopt("--dry-run").output
        assert ran == [("stack", "export")]

    def test_secrets_are_set_by_standard_input(
        self, ran: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(adoption, "reader", lambda _: lambda *asked: living(*asked) or {})
        done = self._adopt("--secrets")
        assert done.exit_code == 0, done.output
        assert ("config", "set", "--secret", "ado:databasePassword") in ran
        assert "living" not in done.output
        assert not [arguments for arguments in ran if "living" in arguments]


def test_a_command_that_fails_says_all_that_pulumi_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "pulumi"
    script.write_text("#!/bin/sh\ncat >&2; exit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(OpsError, match="`pulumi stack import` failed:\nwhy"):
        Pulumi("prod").run("stack", "import", given="why")
    script.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OpsError, match="no `pulumi` on PATH"):
        Pulumi("prod").run("stack", "export")
