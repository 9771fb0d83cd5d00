"""One operator at a time, against an API server that is played by a small class."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from kubernetes import client
from urllib3.exceptions import HTTPError

from ado_infra.ops import lease
from ado_infra.ops.errors import OpsError
from ado_infra.ops.namespace import Namespace

NOBODY, BEATEN = client.ApiException(status=404), client.ApiException(status=409)


class Leases:
    """The one Lease; `at_work`: its holder renews it whenever somebody looks."""

    def __init__(self) -> None:
        self.kept: Any = None
        self._changes = 0

    def read_namespaced_lease(self, name: str, namespace: str) -> Any:
        assert (name, namespace) == ("ado-ops", "ado-system")
        if self.kept is None:
            raise NOBODY
        return copy.deepcopy(self.kept)

    def create_namespaced_lease(self, _namespace: str, body: Any) -> Any:
        if self.kept is not None:
            raise BEATEN
        return self._keep(body)

    def replace_namespaced_lease(self, _name: str, _namespace: str, body: Any) -> Any:
        if self.kept is None or (
            body.metadata.resource_version != self.kept.metadata.resource_version
        ):
            raise BEATEN
        return self._keep(body)

    def delete_namespaced_lease(self, _name: str, _namespace: str, body: Any) -> None:
        version = body.preconditions.resource_version
        if self.kept is None or version != self.kept.metadata.resource_version:
            raise BEATEN
        self.kept = None

    def _keep(self, body: Any) -> Any:
        self._changes += 1
        self.kept = copy.deepcopy(body)
        self.kept.metadata.resource_version = str(self._changes)
        return copy.deepcopy(self.kept)


@pytest.fixture
def leases(monkeypatch: pytest.MonkeyPatch) -> Leases:
    made = Leases()
    monkeypatch.setattr(client, "CoordinationV1Api", lambda _: made)
    monkeypatch.setattr(lease, "PATIENCE", 0.02)
    monkeypatch.setattr(lease, "RENEWAL", 0.01)
    monkeypatch.setattr("ado_infra.ops.namespace.POLL", 0.001)
    return made


def _place() -> Namespace:
    return Namespace(Client(), "ado-system")  # pyright: ignore[reportArgumentType]


def alone(told: list[str] | None = None) -> Any:
    return lease.alone(_place(), (told if told is not None else []).append)


class Client:
    """An API client, as far as another is made like it."""

    configuration = None

    def __init__(self, configuration: None = None) -> None:
        assert configuration is None


def test_whoever_is_at_work_is_told_to_the_second_who_changes_nothing(
    leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "PATIENCE", 10)  # the first sign of life ends it
    with alone():
        holder = leases.kept.spec.holder_identity
        with pytest.raises(OpsError, match=r"is at work here since .* Nothing was touched") as told:
            alone().__enter__()
        assert holder in str(told.value)
    assert leases.kept is None


def test_one_who_gives_no_sign_of_life_is_gone(leases: Leases) -> None:
    dead = client.V1LeaseSpec(holder_identity="dead@host")
    leases.create_namespaced_lease(
        "ado-system", client.V1Lease(metadata=client.V1ObjectMeta(), spec=dead)
    )
    told: list[str] = []
    with alone(told):
        assert leases.kept.spec.holder_identity != "dead@host"
    assert "dead@host was at work here" in told[0]
    assert leases.kept is None


def _work_until_renewed(leases: Leases) -> None:
    with alone():
        first = leases.kept.metadata.resource_version
        assert lease.wait_until(lambda: leases.kept.metadata.resource_version != first, 5)
        raise InterruptedError


def test_it_gives_signs_of_life_and_is_gone_after_an_error_too(leases: Leases) -> None:
    with pytest.raises(InterruptedError):
        _work_until_renewed(leases)
    assert leases.kept is None


def test_one_who_was_taken_for_gone_does_not_end_the_others(
    leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEWAL", 10)
    with alone():
        _take_over(leases)
    assert leases.kept.spec.holder_identity == "other@host"


def _take_over(leases: Leases) -> None:
    version = client.V1ObjectMeta(resource_version=leases.kept.metadata.resource_version)
    taken = client.V1LeaseSpec(holder_identity="other@host")
    lease = client.V1Lease(metadata=version, spec=taken)
    leases.replace_namespaced_lease("ado-ops", "ado-system", lease)


@pytest.mark.parametrize("end", ["at work", "has ended"])
def test_one_who_was_taken_for_gone_changes_nothing_more(
    leases: Leases, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(lease, "RENEWAL", 10)  # it slept
    place = _place()
    with lease.alone(place, print):
        place.before_change()  # as long as it is its own
        _take_over(leases)
        if end == "has ended":
            leases.kept = None
        who = "other@host" if end == "at work" else "Somebody else"
        with pytest.raises(OpsError, match=f"{who} has taken over here.*Nothing more was done"):
            place.before_change()
    place.before_change()  # nobody is asked afterwards


def test_before_each_change_whoever_waits_hears_that_somebody_is_at_work(
    leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEWAL", 10)
    place = _place()
    with lease.alone(place, print):
        before = leases.kept.metadata.resource_version
        place.before_change()
        assert leases.kept.metadata.resource_version != before


def test_a_sign_of_life_whose_answer_was_lost_is_no_takeover(
    leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEWAL", 10)
    place = _place()
    with lease.alone(place, print):
        leases.replace_namespaced_lease("ado-ops", "ado-system", leases.kept)
        place.before_change()
    assert leases.kept is None


def _interrupted_without_an_api_server(leases: Leases) -> None:
    def away(*_: object, **__: object) -> None:
        raise HTTPError("connection refused")

    with alone():
        leases.delete_namespaced_lease = away
        raise KeyboardInterrupt


def test_ctrl_c_says_that_the_same_command_goes_on_also_without_an_api_server(
    leases: Leases,
) -> None:
    with pytest.raises(KeyboardInterrupt, match="the same command goes on"):
        _interrupted_without_an_api_server(leases)
