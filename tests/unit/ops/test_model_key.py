"""`rotate-model-key`: workers follow the key of their gateway, and it is said when all have it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ado_infra.ops import cli, model_key
from ado_infra.ops.errors import OpsError
from ado_infra.ops.target import Target
from tests.support.operated import WorkerPools, model
from tests.support.operated_pair import Killed
from tests.support.recording import record_stack

NEW = "sk-new-canary"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ado_infra.ops.namespace.POLL", 0)
    monkeypatch.setattr(model_key, "alone", lambda *_: nullcontext())


def _run(
    monkeypatch: pytest.MonkeyPatch, platform: WorkerPools, *typed: str, given: str = ""
) -> Result:
    monkeypatch.setattr(Target, "reach", lambda *_: platform)
    command = ["rotate-model-key", *typed, "--stack", "dev"]
    return CliRunner().invoke(cli.app, command, input=given)


def _rotate(platform: WorkerPools, given: str | None = None, pool: str = "gpu") -> list[str]:
    said: list[str] = []
    model_key.rotate(platform, said.append, pool, given)  # pyright: ignore[reportArgumentType]
    assert not any("sk-" in line for line in said)
    return said


def _versions(platform: WorkerPools) -> set[str | None]:
    """Of the Secret that the pods of the pool were started with."""
    return {(noted or {}).get(model_key.VERSION) for noted in platform.living["ado-worker-gpu"]}


def test_the_key_is_written_the_pool_rolls_and_it_ends_when_no_other_pod_is_left() -> None:
    platform = WorkerPools()
    _rotate(platform, NEW)
    assert platform.kept == {"key": NEW}
    assert platform.changes == ["Secret gateway-of-gpu: key", "roll ado-worker-gpu"]
    assert platform.looks > len(platform.living["ado-worker-gpu"])
    assert _versions(platform) == {platform.revision}


def test_what_its_keeper_has_changed_is_followed_and_not_written() -> None:
    platform = WorkerPools()
    platform.write({"key": NEW})
    _rotate(platform)
    assert platform.changes == ["roll ado-worker-gpu"]
    assert _versions(platform) == {"2"}


@pytest.mark.parametrize("given", [NEW, None])
def test_again_it_changes_nothing(given: str | None) -> None:
    platform = WorkerPools()
    _rotate(platform, given)
    calls = platform.calls
    _rotate(platform, given)
    assert platform.calls == calls


def test_killed_after_any_of_its_calls_the_same_command_goes_on() -> None:
    straight = WorkerPools(pools=("gpu", "cpu"))
    _rotate(straight, NEW)
    assert straight.calls == 3
    for made in range(straight.calls):
        platform = WorkerPools(pools=("gpu", "cpu"))
        platform.interrupt_after = made
        with pytest.raises(Killed):
            _rotate(platform, NEW)
        platform.interrupt_after = None
        _rotate(platform, NEW)
        assert platform.changes == straight.changes, made
        assert platform.readers == straight.readers, made


def test_pools_that_share_a_key_roll_together_and_no_other() -> None:
    platform = WorkerPools(pools=("gpu", "cpu"))
    _rotate(platform, NEW, pool="cpu")
    assert platform.changes[1:] == ["roll ado-worker-gpu", "roll ado-worker-cpu"]


def test_pods_that_do_not_end_are_named_with_what_not_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = WorkerPools()
    waited: list[float] = []

    def wait(condition: Any, seconds: float) -> bool:
        waited.append(seconds)
        return bool(condition())

    monkeypatch.setattr(model_key, "wait_until", wait)
    former = SimpleNamespace(metadata=SimpleNamespace(annotations=None))
    monkeypatch.setattr(platform, "pods_of_deployment", lambda _: [former])
    with pytest.raises(OpsError, match=r"pods of ado-worker-gpu .* revoke the former one not yet"):
        _rotate(platform, NEW)
    assert waited == [900 + 10 * 300]


def test_a_pool_without_a_gateway_and_one_that_there_is_not_are_told() -> None:
    platform = WorkerPools()
    with pytest.raises(OpsError, match="Pool default has no modelGateway"):
        _rotate(platform, pool="default")
    with pytest.raises(OpsError, match=r"no pool big in namespace ado-system; .*: default, gpu"):
        _rotate(platform, pool="big")
    assert platform.changes == []


@pytest.mark.parametrize("kept", [None, {"token": "x"}])
def test_a_secret_that_is_not_there_is_named_with_how_to_make_it(
    kept: dict[str, str] | None,
) -> None:
    platform = WorkerPools()
    platform.kept = kept
    make = "kubectl -n ado-system create secret generic gateway-of-gpu --from-file=key=FILE"
    with pytest.raises(OpsError) as refused:
        _rotate(platform, NEW)
    assert str(refused.value) == (
        f"There is no key key in Secret gateway-of-gpu; `{make}` makes it."
    )


def test_what_another_one_writes_is_not_written_but_followed() -> None:
    platform = WorkerPools()
    platform.owners = ["ExternalSecret gateways"]
    with pytest.raises(OpsError, match="is written by ExternalSecret gateways, which would undo"):
        _rotate(platform, NEW)
    assert platform.changes == []
    _rotate(platform)
    assert platform.changes == ["roll ado-worker-gpu"]


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = WorkerPools()
    done = _run(monkeypatch, platform, "gpu", "--stdin", "--dry-run", given=NEW)
    assert done.stdout.splitlines() == [
        "1. write the key into Secret gateway-of-gpu",
        "2. roll ado-worker-gpu, and wait until no pod has another key",
    ]
    done = _run(monkeypatch, platform, "gpu", "--dry-run")
    assert done.stdout.splitlines() == [
        "1. roll ado-worker-gpu, and wait until no pod has another key"
    ]
    assert platform.changes == []
    _rotate(platform, NEW)
    done = _run(monkeypatch, platform, "gpu", "--stdin", "--dry-run", given=NEW)
    assert done.stdout == "There is nothing to do.\n"


def test_it_says_what_is_left_to_do_at_the_gateway_and_never_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = WorkerPools()
    done = _run(monkeypatch, platform, "gpu", "--stdin", given=f"{NEW}\n")
    assert done.exit_code == 0, done.exception
    assert platform.kept == {"key": NEW}
    assert "takes the former key until you revoke it there" in done.stdout
    assert "sk-" not in done.output
    refused = _run(monkeypatch, platform, "gpu", "--stdin", given="two\nlines")
    assert str(refused.exception) == "The key must be one line of printable ASCII characters."


def test_it_finds_the_pools_and_secrets_of_what_is_deployed() -> None:
    gateway = {"url": "http://models:4000", "keySecret": "gateway-of-gpu"}
    pools = {"gpu": {"image": {"tag": "1.0"}, "modelGateway": gateway}}
    stack = record_stack("dev", changes={"ado:workerPools": pools})
    deployed = [model("V1Deployment", _whole(each)) for each in stack.of_kind("Deployment")]
    (found,) = model_key.readers(deployed, "gateway-of-gpu")
    assert found.metadata.name == "ado-worker-gpu"
    (volume,) = [v for v in found.spec.template.spec.volumes if v.name == model_key.VOLUME]
    (item,) = volume.projected.sources[0].secret.items
    assert item.key == model_key.KEY
    platform = WorkerPools()
    platform.readers = {each.metadata.name: platform.plain(each) for each in deployed}
    secret = model_key.secret_of(platform, "gpu")  # pyright: ignore[reportArgumentType]
    assert secret == "gateway-of-gpu"


def _whole(manifest: Any) -> Any:
    """With whole numbers, which Pulumi's mocks have as floats."""
    return json.loads(json.dumps(manifest), parse_float=lambda text: int(float(text)))
