"""Which cluster a stack's commands go to; whatever else there is, no other one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from kubernetes.config import incluster_config

from ado_infra.ops.clusters import IN_CLUSTER, Cluster, cluster_of
from ado_infra.ops.errors import OpsError
from ado_infra.ops.target import Target
from tests.support import kubeconfigs
from tests.support.kubeconfigs import kubeconfig, stack_files, write

OWN = kubeconfig("own", server="http://own")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where there is no kubeconfig, and no pod."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _refusal(stack: dict[str, object] | None = None, context: str | None = None) -> str:
    with pytest.raises(OpsError) as refused:
        cluster_of("dev", stack or {}, context).client()
    said = str(refused.value)
    assert "\n" not in said
    assert "secret-token" not in said
    return said


def _of_files() -> Cluster:
    return Target(stack="dev").way


@pytest.mark.parametrize(
    "line", ["kubernetes:context: two", "kubernetes:context: {value: two}"], ids=["plain", "value"]
)
def test_the_project_may_name_the_context_and_a_stack_another_one(
    line: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write(directory / "k", "one", "two", "three")))
    stack_files(directory, of_project=[line])
    assert _of_files().context == "two"
    stack_files(directory, "{kubernetes:context: three}", of_project=[line])
    assert _of_files().context == "three"


@pytest.mark.parametrize(
    "given",
    [
        "own.yaml",
        "~/own.yaml",
        yaml.safe_dump(OWN),
        json.dumps(OWN),
        OWN,
    ],
    ids=["path", "home", "yaml", "json", "mapping"],
)
def test_a_stacks_own_kubeconfig_goes_before_that_of_the_environment(
    given: object, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write(directory / "k", "one")))
    write(directory / "own.yaml", "own", server="http://own")
    found = cluster_of("dev", {"kubernetes:kubeconfig": given})
    assert (found.context, found.client().host) == ("own", "http://own")


def test_kubectl_is_told_of_a_stacks_own_kubeconfig(directory: Path) -> None:
    write(directory / "own.yaml", "own")
    stack_files(directory, "{kubernetes:kubeconfig: own.yaml}")
    told = "kubectl --kubeconfig own.yaml --context own -n ado-system"
    assert Target(stack="dev").kubectl == told


def test_of_several_files_each_context_is_known_and_the_first_current_one_taken(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write(directory / name, name, server=f"http://{name}") for name in ("a", "b")]
    files.insert(1, directory / "missing")
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, files)))
    assert cluster_of("dev", {}).context == "a"
    assert cluster_of("dev", {}, "b").client().host == "http://b"


def test_without_kubeconfig_the_users_own_is_taken(directory: Path) -> None:
    (directory / ".kube").mkdir()
    write(directory / ".kube" / "config", "usual")
    assert cluster_of("dev", {}).context == "usual"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_text("a: [\nusers: secret-token"), "is no valid YAML, line 2"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is no valid YAML"),
        (lambda path: path.mkdir(), "cannot be read (Is a directory)"),
        (lambda path: path.touch(), "is empty"),
        (lambda path: path.write_text("secret-token"), "is no kubeconfig"),
        (lambda path: path.write_text("contexts: secret-token"), "is no kubeconfig"),
        (lambda path: path.write_text("users: [secret-token]"), "is no kubeconfig"),
        (lambda path: path.write_text("apiVersion: v1"), "has no current context"),
        (lambda _: None, "There is no "),
    ],
    ids=["broken", "binary", "directory", "empty", "text", "wrong", "unnamed", "bare", "missing"],
)
@pytest.mark.parametrize("whose", ["KUBECONFIG", "stack"])
def test_a_kubeconfig_that_is_none_is_named_with_what_to_do(
    make: Callable[[Path], object],
    said: str,
    whose: str,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = directory / "kubeconfig"
    make(path)
    if whose == "KUBECONFIG":
        monkeypatch.setenv("KUBECONFIG", str(path))
    told = _refusal({"kubernetes:kubeconfig": str(path)} if whose == "stack" else {})
    assert str(path) in told
    assert said in told
    assert "KUBECONFIG" in told or "mend kubernetes:kubeconfig" in told or "--context" in told


def test_a_context_that_leads_nowhere_is_named(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = kubeconfig("one") | {"clusters": []}
    (directory / "k").write_text(yaml.safe_dump(broken))
    monkeypatch.setenv("KUBECONFIG", str(directory / "k"))
    assert f"Context one of {directory / 'k'} leads to no cluster" in _refusal()


def test_a_context_that_is_not_there_is_never_another_one(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write(directory / "k", "one", "two")))
    of_stack = _refusal({"kubernetes:context": "far"})
    assert of_stack.startswith(
        f"There is no context far in {directory / 'k'}, which kubernetes:context of stack dev "
        "names (there is: one, two)."
    )
    assert "which --context names" in _refusal({"kubernetes:context": "one"}, "far")
    write(directory / "k", "one", current="gone")
    assert "There is no context gone" in _refusal()


def test_what_is_encrypted_is_refused_unless_a_context_is_named(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write(directory / "k", "one")))
    encrypted: dict[str, object] = {"kubernetes:kubeconfig": {"secure": "v1:canary"}}
    assert "kubernetes:kubeconfig is encrypted" in _refusal(encrypted)
    assert cluster_of("dev", encrypted, "one").context == "one"
    assert "kubernetes:cluster of stack dev" in _refusal({"kubernetes:cluster": "c"})


class TestInAPod:
    """Where the API server is told by variables, and a token lies in a file."""

    @pytest.fixture(autouse=True)
    def pod(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A pod of some cluster, without a kubeconfig."""
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
        for name, variable in (("token", "TOKEN"), ("ca.crt", "CERT")):
            (directory / name).write_text("of the pod")
            monkeypatch.setattr(
                incluster_config, f"SERVICE_{variable}_FILENAME", str(directory / name)
            )

    def test_its_own_credentials_are_taken(self) -> None:
        found = cluster_of("dev", {})
        assert found.context == IN_CLUSTER
        made = found.client()
        assert made.host == "https://10.0.0.1:443"
        assert made.api_key["BearerToken"] == "bearer of the pod"

    def test_a_kubeconfig_or_a_context_goes_before_them(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "names prod, and there is no kubeconfig" in _refusal({"kubernetes:context": "prod"})
        assert cluster_of("dev", {"kubernetes:context": "prod"}, IN_CLUSTER).kubeconfig is None
        file = kubeconfigs.write(directory / "k", "one")
        monkeypatch.setenv("KUBECONFIG", str(file))
        assert cluster_of("dev", {}).context == "one"

    def test_without_a_token_it_is_one_line(self, directory: Path) -> None:
        (directory / "token").unlink()
        assert "Context in-cluster leads to no cluster" in _refusal()


def test_where_there_is_nothing_that_is_said(directory: Path) -> None:
    said = _refusal()
    assert said.startswith("There is no kubeconfig: neither KUBECONFIG nor")
    assert str(directory / ".kube" / "config") in said
