"""Who brings a provider that replaces ConfigMaps and Secrets is told so, once."""

from __future__ import annotations

import pulumi
import pytest
from pulumi_kubernetes import Provider

import ado_infra as ado
from tests.support.recording import record

BOTH = {"enable_config_map_mutable": True, "enable_secret_mutable": True}


@pytest.mark.parametrize(
    ("flags", "kinds", "advice"),
    [
        ({}, "ConfigMap or Secret", "enable_config_map_mutable=True and enable_secret_mutable"),
        ({**BOTH, "enable_secret_mutable": False}, "Secret", "enable_secret_mutable=True"),
        ({"enable_secret_mutable": True}, "ConfigMap", "enable_config_map_mutable=True"),
    ],
)
def test_a_provider_without_a_flag_is_told_once_what_it_lacks(
    flags: dict[str, bool], kinds: str, advice: str
) -> None:
    def program() -> None:
        opts = pulumi.ResourceOptions(provider=Provider("own", **flags))
        ado.Redis("redis", ado.RedisArgs(site=ado.Site("shop", namespace="shop")), opts)

    (told,) = record(program).warnings
    assert f"This provider changes no {kinds} in place" in told
    assert f"Give the provider {advice}" in told


def test_a_provider_with_both_flags_and_the_stacks_own_are_told_nothing() -> None:
    def program() -> None:
        site = ado.Site("shop", namespace="shop")
        own = pulumi.ResourceOptions(provider=Provider("own", **BOTH))
        ado.Redis("redis", ado.RedisArgs(site=site), own)
        ado.Postgres("db", ado.PostgresArgs(site=site))

    assert record(program).warnings == []
