"""What the data stores are started with: the files come along, and the scripts are sound."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sysconfig
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from tests.support.manifests import container, environment, job, pod, told
from tests.support.recording import ROOT, Recording, record_stack

OF_BACKUP = {
    "backup.sh": "dump",
    "dump.sh": "dump",
    "restore.sh": "dump",
    "upload.sh": "upload",
    "list.sh": "upload",
    "download.sh": "upload",
}
"""Script of PostgreSQL's backup → the container whose variables it gets."""
OF_JOB = "decide.sh"
"""The one that comes in a Job's command."""
AS_ANY_USER = "as_any_user.sh"
"""The one that comes where the cluster chooses the user; see test_postgres_scripts.py."""
PACKAGES = {
    "ado_infra.data.postgres": {
        "blank.sh",
        "common.sh",
        OF_JOB,
        AS_ANY_USER,
        "start.sh",
        "rejoin.sh",
        "look.sh",
        "roles.sql",
        "pg_hba.conf",
        "postgresql.conf",
        *OF_BACKUP,
    },
    "ado_infra.data.redis": {
        "start.sh",
        "ask.sh",
        "meet.sh",
        "follow.sh",
        "hand_over.sh",
        "create.sh",
        "redis.conf",
    },
}
SCRIPTS = [
    (package, name)
    for package, names in PACKAGES.items()
    for name in sorted(names)
    if name.endswith(".sh")
]
SHELLCHECK = Path(sysconfig.get_path("scripts")) / "shellcheck"


def _text(package: str, name: str) -> str:
    return (resources.files(package) / "files" / name).read_text()


def _paths(package: str) -> set[str]:
    return {f"files/{name}" for name in PACKAGES[package]}


def _complaints(*command: str, about: str) -> str:
    run = subprocess.run(
        command, input=about, text=True, capture_output=True, check=False, timeout=30
    )
    return run.stdout + run.stderr + (f"exit code {run.returncode}" if run.returncode else "")


@pytest.mark.parametrize("package", PACKAGES)
def test_the_files_come_with_the_package(package: str) -> None:
    folder = resources.files(package) / "files"
    assert {file.name for file in folder.iterdir()} == PACKAGES[package]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_build_packs_them(package: str) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["*"]
    assert {n for p in patterns for n in fnmatch.filter(_paths(package), p)} == _paths(package)
    included = settings["packages"]["find"]["include"]
    assert any(fnmatch.fnmatch(package, pattern) for pattern in included)


@pytest.fixture(scope="module")
def whole() -> Recording:
    """The dev stack with everything that has scripts."""
    return record_stack("dev", changes={"ado:postgres": {"backup": {"bucket": "backups"}}})


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_reaches_the_pods(package: str, whole: Recording) -> None:
    maps = {
        "ado_infra.data.postgres": ("postgresql-config", "postgresql-backup"),
        "ado_infra.data.redis": ("redis-config",),
    }
    data = [item for m in maps[package] for item in whole.get("ConfigMap", m)["data"].items()]
    assert sorted(name for name, _ in data) == sorted(PACKAGES[package] - {OF_JOB, AS_ANY_USER})
    for name, text in data:
        assert text.startswith(_text(package, name))


def test_a_command_is_a_script_in_which_kubernetes_expands_nothing(whole: Recording) -> None:
    decide, *_ = pod(whole, job(whole, "postgresql-state-begin"))["initContainers"]
    text = _text("ado_infra.data.postgres", OF_JOB)
    assert decide["command"] == ["/bin/sh", "-c", text]
    assert "$$" not in text
    assert not set(re.findall(r"\$\((\w+)\)", text)) & told(decide).keys()


@pytest.mark.parametrize(("package", "name"), SCRIPTS)
def test_a_script_is_posix_shell(package: str, name: str) -> None:
    text = _text(package, name)
    assert text.startswith(("#!/bin/sh\n", "# shellcheck shell=sh\n"))  # run, or sourced
    assert _complaints("sh", "-n", about=text) == ""


@pytest.mark.parametrize(("package", "name"), SCRIPTS)
def test_a_script_passes_shellcheck(package: str, name: str) -> None:
    # With what a script sources, as far as it says so.
    sources = ("--external-sources", f"--source-path={resources.files(package) / 'files'}")
    checked = (str(SHELLCHECK), "--norc", "--shell=sh", "--severity=style", *sources, "-")
    assert _complaints(*checked, about=_text(package, name)) == ""


@pytest.mark.parametrize(("package", "name"), SCRIPTS)
def test_a_script_is_told_of_every_variable_it_reads(
    package: str, name: str, whole: Recording
) -> None:
    jobs = {"create.sh": "redis-cluster-create"}
    store = {"ado_infra.data.postgres": "postgresql", "ado_infra.data.redis": "redis"}[package]
    if name in OF_BACKUP:
        template = whole.only("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        containers = [*template["initContainers"], *template["containers"]]
        (given,) = [told(one) for one in containers if one["name"] == OF_BACKUP[name]]
    elif name == OF_JOB:
        decide, *_ = pod(whole, job(whole, "postgresql-state-begin"))["initContainers"]
        given = told(decide)
    else:
        given = environment(whole, job(whole, jobs[name]) if name in jobs else store)
    text = _text(package, name)
    read = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", text))
    assert read - set(re.findall(r"\b([A-Z][A-Z_]+)=", text)) <= given.keys()
    assert read & given.keys()


POD_VARIABLES = {
    "postgresql": {"HEADLESS_SERVICE", "PGDATA", "POD_NAME", "SECRETS", "SOCKET", "STATE"},
    "redis": {"HEADLESS_SERVICE", "POD_IP", "POD_NAME", "RUN", "SECRETS"},
}
"""What a pod of the first release is told, beside CONFIG."""


@pytest.mark.parametrize("store", POD_VARIABLES)
def test_an_up_that_is_refused_midway_changes_no_running_server(
    store: str, whole: Recording
) -> None:
    """An `up` can change a ConfigMap and then be refused, as by a conflict with `ado-ops`.

    The kubelet then gives running pods the new files: all at once, by one link, so never a set
    that is half new. That is safe while a server reads them at its start alone, whatever asks it
    meanwhile reads copies, and a container that starts again in the old pod can run the new
    scripts. Secrets are read as they are: after `rotate` a restart must not bring the former
    password back.
    """
    one = container(whole, store)
    probes = [one[f"{name}Probe"]["exec"] for name in ("startup", "readiness", "liveness")]
    asked = str([*probes, one["lifecycle"]["preStop"]["exec"]])
    asked = asked.replace('. "$CONFIG/common.sh"; ! server_runs', "")  # reads that function alone
    package = {"postgresql": "ado_infra.data.postgres", "redis": "ado_infra.data.redis"}[store]
    start = _text(package, "start.sh")
    for name in re.findall(r"/(\w+\.sh)", asked) + re.findall(r"\$RUN/(\w+\.sh)", start):
        assert f'"$CONFIG/{name}"' in start  # which copies it
        asked += _text(package, name)
    assert not re.findall(r"\$\{?CONFIG|\$\{?SECRETS|/etc/ado/(?:config|secrets)", asked)
    scripts = {name: _text(package, name) for name in PACKAGES[package] - OF_BACKUP.keys()}
    every = "\n".join(scripts.values())
    every = every.replace("config set cluster-replica-no-failover yes", "")  # reads no file
    assert not re.findall(
        r"pg_reload_conf|pg_ctl reload|SIGHUP|kill -(?:HUP|1)\b|config set", every
    )
    assert environment(whole, store).keys() == POD_VARIABLES[store] | {"CONFIG"}
