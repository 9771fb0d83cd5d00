"""Names, labels, digests and quantities: the pure parts."""

from __future__ import annotations

from decimal import Decimal

import pulumi
import pytest

from ado_infra.kit.published import config_digest, secret_digest
from ado_infra.kit.quantities import amount, millicores, size_in_bytes
from ado_infra.kit.spec import Disruption, ImageVersion
from ado_infra.kit.values import share_of
from tests.support.recording import Recording, record

KEY = "ab" * 32


@pytest.mark.parametrize(
    ("quantity", "expected"), [("500m", 500), ("2", 2000), ("0.5", 500), ("1m", 1)]
)
def test_cpu_is_measured_in_millicores(quantity: str, expected: int) -> None:
    assert millicores(quantity) == expected


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [("512Mi", 512 * 2**20), ("2Gi", 2 * 2**30), ("1G", 10**9), ("1.5Ki", 1536), ("100", 100)],
)
def test_memory_is_measured_in_bytes(quantity: str, expected: int) -> None:
    assert size_in_bytes(quantity) == expected


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("1181116006400m", "1181116006.4"),
        ("1n", "1e-9"),
        ("3u", "3e-6"),
        ("1e3", "1000"),
        ("12E-1", "1.2"),
        ("1E", "1e18"),
        ("1Ei", str(2**60)),
        ("2Pi", str(2**51)),
        ("+5", "5"),
        (".5k", "500"),
        ("0", "0"),
    ],
)
def test_every_form_of_a_quantity_is_read(quantity: str, expected: str) -> None:
    assert amount(quantity) == Decimal(expected)


@pytest.mark.parametrize("quantity", ["", "Gi", "1 Gi", "1gi", "1ee3", "e3", "\u0663"])
def test_what_is_no_quantity_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        amount(quantity)


@pytest.mark.parametrize("quantity", ["0", "-1", "1e9", "2000", "1Gi", "", "0.0001", "m"])
def test_what_is_no_amount_of_cpu_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match=r"no CPU quantity|out of range"):
        millicores(quantity)


@pytest.mark.parametrize("quantity", ["0", "-1Gi", "1Ei", "99Ti", "512 Mi", "512mi", "100m"])
def test_what_is_no_amount_of_memory_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match=r"no memory quantity|out of range"):
        size_in_bytes(quantity)


@pytest.mark.parametrize(
    ("value", "total", "pods"),
    [(1, 5, 1), ("30%", 3, 1), ("30%", 10, 3), ("50%", 3, 2), ("0%", 9, 0)],
)
def test_percentages_round_up(value: int | str, total: int, pods: int) -> None:
    assert share_of(value, total) == pods


@pytest.mark.parametrize(
    ("rule", "replicas", "blocked"),
    [
        ({"min_available": 1}, 1, True),
        ({"min_available": 1}, 2, False),
        ({"min_available": "100%"}, 4, True),
        ({"min_available": "60%"}, 1, True),
        ({"min_available": "50%"}, 2, False),
        ({"max_unavailable": 0}, 5, True),
        ({"max_unavailable": "0%"}, 5, True),
        ({"max_unavailable": "1%"}, 1, False),
    ],
)
def test_a_budget_that_blocks_for_ever_is_recognised(
    rule: dict[str, int | str],
    replicas: int,
    blocked: bool,  # noqa: FBT001
) -> None:
    assert bool(Disruption.model_validate(rule).blocked_with(replicas)) is blocked


@pytest.mark.parametrize(
    ("tag", "label"),
    [("1.4.2", "1.4.2"), ("_edge-", "edge"), ("v" * 80, "v" * 63), ("a" * 62 + "-b", "a" * 62)],
)
def test_a_version_label_is_a_valid_label_value(tag: str, label: str) -> None:
    assert ImageVersion(tag=tag).label == label


def test_a_config_digest_follows_the_data_and_not_its_order() -> None:
    assert config_digest({"a": "1", "b": "2"}) == config_digest({"b": "2", "a": "1"})
    assert config_digest({"a": "1", "b": "2"}) != config_digest({"a": "12", "b": ""})


def test_a_secrets_digest_is_public_and_depends_on_the_key() -> None:
    digests: list[str] = []
    secretness: list[bool] = []

    async def program() -> None:
        value = pulumi.Output.secret("canary")
        for key in (KEY, "cd" * 32, KEY):
            digest = secret_digest(key, {"k": value})
            digests.append(await digest.future() or "")
            secretness.append(await digest.is_secret())

    record(program, into=Recording())
    first, other, again = digests
    assert first == again != other
    assert secretness == [False, False, False]
