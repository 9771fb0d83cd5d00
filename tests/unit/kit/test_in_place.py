"""Who brings a provider that replaces ConfigMaps and Secrets is told so, once."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pytest
from pulumi_kubernetes import Provider

import ado_infra as ado
from ado_infra.render.rendering import render
from tests.support.recording import record, stack_config
from tests.unit.render.test_render import project

MAPS, SECRETS = "enable_config_map_mutable=True", "enable_secret_mutable=True"


def _provider(*, config_maps: bool | None, secrets: bool | None) -> pulumi.ResourceOptions:
    own = Provider("own", enable_config_map_mutable=config_maps, enable_secret_mutable=secrets)
    return pulumi.ResourceOptions(provider=own)


@pytest.mark.parametrize(
    ("config_maps", "secrets", "kinds", "advice"),
    [
        *[(off, off, "ConfigMap or Secret", f"{MAPS} and {SECRETS}") for off in (None, False)],
        (True, False, "Secret", SECRETS),
        (None, True, "ConfigMap", MAPS),
    ],
)
def test_a_provider_without_a_flag_is_told_once_what_it_lacks(
    *, config_maps: bool | None, secrets: bool | None, kinds: str, advice: str
) -> None:
    def program() -> None:
        opts = _provider(config_maps=config_maps, secrets=secrets)
        ado.Redis("redis", ado.RedisArgs(site=ado.Site("shop", namespace="shop")), opts)

    (told,) = record(program).warnings
    assert f"This provider changes no {kinds} in place" in told
    assert told.endswith(f"Give the provider {advice}")


def test_a_provider_with_both_flags_and_the_stacks_own_are_told_nothing() -> None:
    def program() -> None:
        site = ado.Site("shop", namespace="shop")
        own = _provider(config_maps=True, secrets=True)
        ado.Redis("redis", ado.RedisArgs(site=site), own)
        ado.Postgres("db", ado.PostgresArgs(site=site))

    assert record(program).warnings == []


def test_where_no_engine_is_asked_a_program_with_such_a_provider_is_rendered(
    tmp_path: Path,
) -> None:
    program = """
import pulumi
from pulumi_kubernetes import Provider
from ado_infra import AdoPlatform, AdoPlatformArgs, load_stack

settings, secrets = load_stack()
args = AdoPlatformArgs(settings=settings, secrets=secrets)
AdoPlatform("ado", args, pulumi.ResourceOptions(provider=Provider("own")))
"""
    directory = project(tmp_path, stack="dev", config=stack_config("dev"), program=program)
    assert render(directory, "dev").objects
