"""`ado-ops render`: every object as the program registers it, and nothing that is secret."""

from __future__ import annotations

import functools
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from ado_infra.ops import cli
from ado_infra.render.errors import RenderError
from ado_infra.render.objects import RenderedObject, images
from ado_infra.render.rendering import Rendering, render
from ado_infra.render.stack_file import MARK, placeholder
from ado_infra.render.waves import ANNOTATION
from tests.support.recording import ROOT, SECRETS, Recording, record_stack
from tests.unit.ops.test_command import started

LISTED = """
configmap-ado-config configmap-ado-dashboard-grafana configmap-postgresql-config
configmap-postgresql-state configmap-redis-config deployment-ado-api-gateway
deployment-ado-dashboard deployment-ado-orchestrator deployment-ado-worker
horizontalpodautoscaler-ado-api-gateway-hpa horizontalpodautoscaler-ado-worker-hpa
ingress-ado-ingress job-postgresql-state-begin-DIGEST job-redis-cluster-create-DIGEST
namespace-ado-system networkpolicy-ado-api-gateway-netpol networkpolicy-ado-dashboard-netpol
networkpolicy-ado-default-deny networkpolicy-ado-orchestrator-netpol
networkpolicy-ado-worker-netpol networkpolicy-postgresql-netpol
networkpolicy-postgresql-state-netpol networkpolicy-redis-cluster-create-netpol
networkpolicy-redis-netpol poddisruptionbudget-ado-api-gateway-pdb
poddisruptionbudget-ado-dashboard-pdb poddisruptionbudget-ado-orchestrator-pdb
poddisruptionbudget-ado-worker-pdb poddisruptionbudget-postgresql-pdb poddisruptionbudget-redis-pdb
role-postgresql-state rolebinding-postgresql-state service-ado-api-gateway service-ado-dashboard
service-ado-orchestrator service-ado-worker service-postgresql service-postgresql-headless
service-postgresql-ro service-redis service-redis-headless serviceaccount-ado-api-gateway
serviceaccount-ado-dashboard serviceaccount-ado-orchestrator serviceaccount-ado-worker
serviceaccount-postgresql serviceaccount-postgresql-state serviceaccount-redis
serviceaccount-redis-cluster-create servicemonitor-ado-metrics statefulset-postgresql
statefulset-redis
"""
OF_SECRETS = ["ado-agent-credentials", "ado-digest-key", "ado-secrets", "postgresql", "redis"]
STORAGE = "ado-object-storage"
STACKS = pytest.mark.parametrize("name", ["dev", "prod"])
CANARY = "v1:Y2FuYXJ5:canary-ciphertext"


@functools.cache
def rendering(name: str) -> Rendering:
    return render(ROOT, name)


def named(path: str) -> str:
    """A path without the digest of a Job."""
    return re.sub(r"-[0-9a-f]{10}\.yaml$", "-DIGEST.yaml", path)


def loaded(text: str) -> Any:
    """A document, read by two readers of YAML that have to agree."""
    found = yaml.safe_load(text)
    assert YAML(typ="safe", pure=True).load(text) == found
    return found


class Placeholders(Recording):
    """Makes up what a rendering makes up."""

    def new_resource(self, args: Any) -> tuple[str, dict[str, Any]]:
        made, outputs = super().new_resource(args)
        if "result" in outputs:
            outputs["result"] = f"PLACEHOLDER-{args.name}"
        if "hex" in outputs:
            outputs["hex"] = f"PLACEHOLDER-{args.name}".ljust(32, "-").encode().hex()
        return made, outputs


def project(directory: Path, *, stack: str, config: dict[str, Any], program: str = "") -> Path:
    """A project of its own, with the program of this one unless another is given."""
    (directory / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    (directory / f"Pulumi.{stack}.yaml").write_text(json.dumps({"config": config}))
    (directory / "__main__.py").write_text(program or (ROOT / "__main__.py").read_text())
    return directory


def committed(stack: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"])


def run(monkeypatch: pytest.MonkeyPatch, directory: Path, *arguments: str) -> int:
    """The exit code of the command, started in a directory."""
    monkeypatch.chdir(directory)
    monkeypatch.setattr(sys, "argv", ["ado-ops", "render", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@STACKS
def test_there_is_a_file_for_each_object_and_no_other(name: str) -> None:
    # Without keys for the object storage, which production demands, its Secret is empty.
    files = {named(path) for path in rendering(name).files}
    assert files == {
        *(f"{each}.yaml" for each in LISTED.split()),
        *(f"secrets/secret-{each}.yaml" for each in [*OF_SECRETS, STORAGE]),
        "kustomization.yaml",
    }


@STACKS
def test_every_manifest_is_what_the_program_registers(name: str) -> None:
    demanded = {key: placeholder(key) for key in SECRETS} if name == "prod" else {}
    recorded = record_stack(name, secrets=demanded, into=Placeholders())
    wanted = {each.key: each.manifest for each in recorded.objects}
    found: dict[tuple[str, str], Any] = {}
    for each in rendering(name).objects:
        manifest = loaded(each.text())
        annotations = manifest["metadata"].get("annotations", {})
        assert annotations.pop(ANNOTATION, "0") == str(each.wave)
        if not annotations and "annotations" not in wanted[each.kind, each.name]["metadata"]:
            manifest["metadata"].pop("annotations", None)
        found[each.kind, each.name] = manifest
    assert found == wanted


@STACKS
def test_the_kustomization_lists_all_but_secrets(name: str) -> None:
    files = rendering(name).files
    kustomization = loaded(files["kustomization.yaml"])
    assert kustomization["kind"] == "Kustomization"
    assert kustomization["resources"] == sorted(
        path for path in files if "/" not in path and path != "kustomization.yaml"
    )
    kinds = {path: loaded(text)["kind"] for path, text in files.items()}
    assert {path for path, kind in kinds.items() if kind == "Secret"} == {
        path for path in files if path.startswith("secrets/")
    }


@STACKS
def test_secrets_say_what_is_to_be_given(name: str) -> None:
    files = rendering(name).files
    urls = files["secrets/secret-ado-secrets.yaml"]
    assert "# database-url: postgresql://ado:PLACEHOLDER-ado-stores-database-password@" in urls
    assert all(text.startswith("#") for path, text in files.items() if "/" in path)
    assert not any(MARK in text for path, text in files.items() if "/" not in path)


@STACKS
def test_manifests_begin_with_what_they_are_and_scripts_are_blocks(name: str) -> None:
    files = rendering(name).files
    for path, text in files.items():
        lines = [line for line in text.splitlines() if re.match(r"[a-z]", line)]
        assert [line.partition(":")[0] for line in lines[:2]] == ["apiVersion", "kind"], path
    assert "\n  start.sh: |\n    #!/bin/sh\n" in files["configmap-redis-config.yaml"]


def waves(name: str) -> dict[str, int]:
    return {named(each.path).removesuffix(".yaml"): each.wave for each in rendering(name).objects}


@STACKS
def test_jobs_and_tiers_are_in_the_order_in_which_they_need_each_other(name: str) -> None:
    found = waves(name)
    first = {path for path, wave in found.items() if wave == 0}
    assert first >= {"namespace-ado-system", "statefulset-postgresql", "statefulset-redis"}
    assert first >= {"deployment-ado-dashboard", "serviceaccount-postgresql-state"}
    assert first >= {path for path in found if path.startswith(("configmap", "secret", "role"))}
    assert found["job-postgresql-state-begin-DIGEST"] == 1
    assert found["job-redis-cluster-create-DIGEST"] == 1
    assert found["deployment-ado-orchestrator"] == 2
    assert found["service-ado-orchestrator"] == 3
    assert found["deployment-ado-api-gateway"] == 2
    assert found["deployment-ado-worker"] == 3
    last = {path for path, wave in found.items() if wave == max(found.values())}
    assert {path.partition("-")[0] for path in last} == {
        "horizontalpodautoscaler",
        "ingress",
        "service",
    }


@STACKS
def test_nothing_is_in_an_earlier_wave_than_what_it_depends_on(name: str) -> None:
    recorded = record_stack(name)
    wave_of = {(each.kind, each.name): each.wave for each in rendering(name).objects}
    of = {each.urn: wave_of[each.key] for each in recorded.objects}
    for each in recorded.objects:
        before = [urn for urn in each.dependencies if urn in of]
        assert of[each.urn] >= max((of[urn] for urn in before), default=0), each.key


def test_migrations_are_between_the_stores_and_the_tiers(tmp_path: Path) -> None:
    config = {**committed("dev"), "ado:migrations": {"command": ["migrate"]}}
    found = render(project(tmp_path, stack="dev", config=config), "dev").objects
    wave = {named(each.path): each.wave for each in found}
    job = next(each for each in found if each.path.startswith("job-ado-migrations"))
    assert wave["job-redis-cluster-create-DIGEST.yaml"] < job.wave
    assert job.wave < wave["deployment-ado-orchestrator.yaml"]


def test_images_are_those_of_every_container_once() -> None:
    assert images(rendering("prod").objects) == [
        "ado/api-gateway:0.1.0",
        "ado/dashboard:0.1.0",
        "ado/orchestrator:0.1.0",
        "ado/worker:0.1.0",
        "docker.io/library/postgres:17.12-trixie",
        "docker.io/library/redis:8.0.5-bookworm",
        "registry.k8s.io/kubectl:v1.37.2",
    ]


def test_images_of_jobs_on_a_schedule_are_among_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {**committed("dev"), "ado:postgres": {"backup": {"bucket": "backups"}}}
    project(tmp_path, stack="dev", config=config)
    assert run(monkeypatch, tmp_path, "--stack", "dev", "--images") == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed == sorted(listed)
    assert "docker.io/rclone/rclone:1.76.0" in listed
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "Pulumi.dev.yaml",
        "Pulumi.yaml",
        "__main__.py",
    ]


def test_no_secret_is_written_or_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (*SECRETS, "ado:databasePassword", "ado:redisPassword")
    config = {**committed("prod"), **{key: {"secure": CANARY} for key in given}}
    project(tmp_path, stack="prod", config=config)
    everything = json.dumps(dict.fromkeys(given, "env-canary"))
    monkeypatch.setenv("PULUMI_CONFIG", everything)
    monkeypatch.setenv("PULUMI_CONFIG_ADO_DATABASEPASSWORD", "env-canary")
    monkeypatch.setenv("PULUMI_CONFIG_ADO_BACKUPACCESSKEY", "env-canary")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "env-canary")
    assert run(monkeypatch, tmp_path, "--stack", "prod", "--out", "out") == 0
    said = "".join(capsys.readouterr())
    files = [path.read_text() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) > 40
    for text in [said, *files]:
        for canary in ("canary", "Y2FuYXJ5", "ZW52LWNhbmFyeQ"):
            assert canary not in text
    assert "PLACEHOLDER-databasePassword" in "".join(files)
    assert os.environ["PULUMI_CONFIG"] == everything
    assert "is missing" not in said


def test_a_secret_in_plain_text_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, stack="s", config={**committed("dev"), "ado:anthropicApiKey": "canary"})
    assert run(monkeypatch, tmp_path, "--stack", "s", "--out", "out") == 1
    said = capsys.readouterr()
    assert "ado:anthropicApiKey is in plain text" in said.err
    assert "canary" not in said.out + said.err
    assert not (tmp_path / "out").exists()


def test_urls_of_external_stores_are_placeholders_that_the_program_takes(tmp_path: Path) -> None:
    external = {"ado:postgres": {"mode": "external"}, "ado:redis": {"mode": "external"}}
    config = {**committed("dev"), **external, "ado:redisUrl": {"secure": CANARY}}
    found = render(project(tmp_path, stack="s", config=config), "s")
    urls = found.files["secrets/secret-ado-secrets.yaml"]
    assert "# database-url: postgresql://PLACEHOLDER-databaseUrl\n" in urls
    assert "# redis-url: rediss://PLACEHOLDER-redisUrl\n" in urls
    assert [w for w in found.warnings if "ado:databaseUrl is missing; rendered as" in w]


@STACKS
def test_it_is_the_same_every_time_and_asks_nobody(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        pytest.fail("a connection, or another program")

    with monkeypatch.context() as alone:
        alone.setattr(socket.socket, "connect", never)
        alone.setattr(subprocess, "Popen", never)
        alone.setenv("KUBECONFIG", str(tmp_path / "none"))
        again = render(ROOT, name)
    assert again.files == rendering(name).files
    assert again.warnings == rendering(name).warnings


def test_another_hash_seed_changes_nothing_nor_is_the_cluster_client_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "4711")
    out = tmp_path / "out"
    done = started(
        *("render", "--stack", "prod", "--out", str(out)), before="sys.modules['kubernetes'] = None"
    )
    assert done.returncode == 0, done.stderr
    assert {path: (out / path).read_text() for path in rendering("prod").files} == rendering(
        "prod"
    ).files


def test_no_other_command_loads_the_sdk() -> None:
    code = "import ado_infra.ops.cli, sys; print(*sys.modules)"
    found = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT).split()
    assert "pulumi" not in found


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ado:profil": "production"}, "ado:profil is unknown"),
        ({"ado:edge": {"host": "a_b"}}, "ado:edge.host"),
        ({"ado:postgres": {"maxConnections": 20}}, "ado:postgres.maxConnections = 20: too low"),
        ({"ado:edge": {"host": {"secure": CANARY}}}, "ado:edge holds an encrypted value"),
    ],
)
def test_wrong_settings_are_the_programs_own_message(
    changes: dict[str, Any],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project(tmp_path, stack="dev", config={**committed("dev"), **changes})
    assert run(monkeypatch, tmp_path, "--stack", "dev", "--out", "new/out") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("The settings of this stack have")
    assert said in printed.err
    assert "Traceback" not in printed.err
    assert "canary" not in printed.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config: [", "Pulumi.s.yaml cannot be read, line 1"),
        ("- a", "Pulumi.s.yaml is no mapping"),
        ("config: {a: 1, a: canary}", "a stands twice"),
        ("config: {ado:edge: {host: x, host: y}}", "host stands twice"),
        ("config: {ado:edge: !!python/object canary}", "Pulumi.s.yaml cannot be read, line 1"),
        ("config: {ado:edge: [!!binary YWJj]}", "ado:edge holds a value that JSON does not have"),
        ("\x00", "Pulumi.s.yaml cannot be read"),
    ],
)
def test_a_file_that_is_no_stack_is_a_message(text: str, said: str, tmp_path: Path) -> None:
    project(tmp_path, stack="s", config={})
    (tmp_path / "Pulumi.s.yaml").write_text(text)
    with pytest.raises(RenderError, match=re.escape(said)) as refused:
        render(tmp_path, "s")
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("name", ["../dev", "", "/etc/passwd", "a b", "nope", "x" * 300])
def test_a_stack_that_there_is_not_is_a_message(name: str) -> None:
    with pytest.raises(RenderError, match=r"There is no file of a stack .*Pulumi\.dev\.yaml"):
        render(ROOT, name)


def test_a_directory_without_a_project_or_program_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"There is no Pulumi\.yaml"):
        render(tmp_path, "dev")
    project(tmp_path, stack="dev", config={})
    (tmp_path / "__main__.py").unlink()
    with pytest.raises(RenderError, match="There is no program"):
        render(tmp_path, "dev")


@pytest.mark.parametrize("arguments", [[], ["--images", "--out", "out"]])
def test_it_is_told_one_thing_to_do(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, ROOT, "--stack", "dev", *arguments) == 1
    assert capsys.readouterr().err == "Say one of --out DIRECTORY and --images.\n"


def test_values_arrive_as_the_engine_hands_them_over(tmp_path: Path) -> None:
    program = "import pulumi, json\nfor key in 'abcdefg':\n"
    program += "    print('got', key, repr(pulumi.Config('p').get(key)))\n"
    (tmp_path / "Pulumi.yaml").write_text(
        "name: p\nruntime: python\nmain: src\nconfig: {g: {default: 7}}\n"
    )
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "__main__.py").write_text(f"import beside\n{program}")
    (tmp_path / "src" / "beside.py").write_text("")
    (tmp_path / "Pulumi.s.yaml").write_text(
        "config:\n  p:a: 1.10\n  p:b: yes\n  p:c: 2026-01-02\n  p:d:\n"
        "  p:e: {at: 2026-01-02, on: off, n: 1e3, m: 1:30, t: true, z: ~}\n  p:f: [1.0, '1']\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", "from ado_infra.render.rendering import *\nrender(Path.cwd(), 's')"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    got = dict(line.split(" ", 2)[1:] for line in done.stderr.splitlines() if "got" in line)
    assert done.stdout == ""
    assert got == {
        "a": "'1.10'",
        "b": "'yes'",
        "c": "'2026-01-02'",
        "d": "''",
        "e": '\'{"at":"2026-01-02","on":"off","n":1000.0,"m":"1:30","t":true,"z":null}\'',
        "f": "'[1.0,\"1\"]'",
        "g": "'7'",
    }


CONFIG_MAPS = """
import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap
for number, name in enumerate({names!r}):
    ConfigMap(f"c{{number}}", metadata={{"name": name, "labels": {{"a": "on"}}}}, data={data!r})
"""
HOSTILE = {
    "on": "yes",
    "1e3": "0x10",
    "null": "~",
    "tab": "a\tb\n\tc\n",
    "blank": "a\n   \nb",
    "indented": "  a\nb\n\n\n",
    "newline": "\n",
    "spaces": "a  \nb ",
    "break": "a\u2028b\x85c\r\nd\x7f\ufeff",
    "emoji": "\U0001f600 ü\nü",
    "looks: like": "- a: b # c\n'\"\\",
    "document": "---\n...\n",
    "number": "1_000",
    "time": "12:30:45",
    "percent": "%a\n@b",
    "empty": "",
    "name": "&a *b !c",
}


def test_hostile_texts_come_back_as_they_were(tmp_path: Path) -> None:
    program = CONFIG_MAPS.format(names=["on"], data=HOSTILE)
    found = render(project(tmp_path, stack="s", config={}, program=program), "s")
    (each,) = found.objects
    assert loaded(each.text())["data"] == HOSTILE
    assert loaded(each.text())["metadata"] == {"name": "on", "labels": {"a": "on"}}


def test_hostile_names_stay_in_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["../../x", "/etc/passwd", "a\nb: c", "system:node", "..", "NUL", "C:\\x"]
    program = CONFIG_MAPS.format(names=names, data={})
    project(tmp_path, stack="s", config={}, program=program)
    assert run(monkeypatch, tmp_path, "--stack", "s", "--out", "out") == 0
    found = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert found == [
        ".ado-render",
        "configmap-...yaml",
        "configmap-.._.._x.yaml",
        "configmap-_etc_passwd.yaml",
        "configmap-a_b__c.yaml",
        "configmap-c__x.yaml",
        "configmap-nul.yaml",
        "configmap-system_node.yaml",
        "kustomization.yaml",
    ]
    assert max(path.name for path in tmp_path.iterdir()) == "out"


def test_two_names_of_one_file_are_refused(tmp_path: Path) -> None:
    program = CONFIG_MAPS.format(names=["a:b", "a/b"], data={})
    with pytest.raises(RenderError, match=r"have the same file configmap-a_b\.yaml"):
        render(project(tmp_path, stack="s", config={}, program=program), "s")


def test_a_name_that_is_too_long_for_a_file_is_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, stack="s", config={}, program=CONFIG_MAPS.format(names=["x" * 253], data={}))
    assert run(monkeypatch, tmp_path, "--stack", "s", "--out", "out") == 1
    assert "cannot be written: File name too long" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "Pulumi.s.yaml",
        "Pulumi.yaml",
        "__main__.py",
    ]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("core.v1.ConfigMap('c')", "c is a ConfigMap without metadata.name"),
        ("core.v1.ConfigMapPatch('c', metadata={'name': 'c'})", "which is no object to render"),
        ("helm.v3.Release('r', chart='c')", "r is a kubernetes:helm.sh/v3:Release"),
        ("yaml.v2.ConfigFile('f', file='x.yaml')", "which is no object to render"),
    ],
)
def test_what_manifests_cannot_tell_is_refused(made: str, said: str, tmp_path: Path) -> None:
    program = f"from pulumi_kubernetes import core, helm, yaml\n{made}\n"
    with pytest.raises(RenderError, match=re.escape(said)):
        render(project(tmp_path, stack="s", config={}, program=program), "s")


def test_a_refusal_that_comes_late_is_a_message_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = CONFIG_MAPS.format(names=["a"], data={})
    program += "\ndef no(_):\n    raise pulumi.RunError('grow it first')\n"
    program += "pulumi.Output.from_input(1).apply(no)\n"
    project(tmp_path, stack="s", config={}, program=program)
    assert run(monkeypatch, tmp_path, "--stack", "s", "--out", "out") == 1
    assert capsys.readouterr().err == "grow it first\n"
    assert not (tmp_path / "out").exists()


def test_what_the_program_prints_is_not_among_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path, stack="s", config={}, program="print('hello')\n")
    assert run(monkeypatch, tmp_path, "--stack", "s", "--images") == 0
    assert capsys.readouterr() == ("", "hello\n")


def test_an_object_knows_what_the_engine_would_guard() -> None:
    by_path: dict[str, RenderedObject] = {each.path: each for each in rendering("prod").objects}
    postgres = by_path["statefulset-postgresql.yaml"]
    assert postgres.protect
    assert postgres.ignored == ("spec.volumeClaimTemplates",)
    assert by_path["secrets/secret-redis.yaml"].secrets == ("data",)


@STACKS
def test_the_page_excepts_all_that_the_engine_leaves_alone(name: str) -> None:
    page = (ROOT / "docs" / "gitops.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    excepted = [
        (each["kind"], each.get("name"), each.get("group", ""), pointer)
        for each in loaded(shown)["spec"]["ignoreDifferences"]
        for pointer in each["jsonPointers"]
    ]
    for each in rendering(name).objects:
        group = each.manifest["apiVersion"].rpartition("/")[0]
        for path in each.ignored:
            pointer = f"/{path.replace('.', '/')}"
            names = {n for kind, n, g, p in excepted if (kind, g, p) == (each.kind, group, pointer)}
            assert names & {None, each.name}, each.path


@STACKS
def test_the_page_says_which_waves_there_are(name: str) -> None:
    page = (ROOT / "docs" / "gitops.md").read_text()
    told = [int(number) for number in re.findall(r"^\| (\d) \|", page, flags=re.MULTILINE)]
    assert told == sorted(set(waves(name).values()))
