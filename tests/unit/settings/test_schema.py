"""What people see of the settings: the JSON Schema, the page, and that neither is stale."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from pydantic import BaseModel, TypeAdapter, ValidationError, create_model

from ado_infra import load_stack
from ado_infra.kit import pod_values, values
from ado_infra.schema import as_text, page, stack_schema
from ado_infra.schema.models import Described
from ado_infra.secrets import ConfigSecret
from ado_infra.settings.errors import NO_LONGER, Renamed
from tests.support.every_key import keys
from tests.support.recording import ROOT, SECRETS, configure, merged, stack_config
from tests.support.wrong_settings import WRONG
from tests.unit.settings.test_production import DEMANDS, POOLS

SCHEMA = stack_schema()
VALIDATOR = Draft7Validator(SCHEMA)
BETWEEN_KEYS = {
    "minimum over maximum",
    "minimum of a pool over maximum",
    "cpu request over limit",
    "memory request over limit",
    "device that is promised and not allowed",
    "budget that blocks",
    "shutdown shorter than a task",
    "killed before its deadline",
    "more connections than there are",
    "one connection too many",
    "backup on a day that there is not",
    "addresses with bits of a host",
    "openings of a part that the stack has not",
    "the place of a store of its own",
    "limits that nothing can meet",
    "default beyond the most",
    "quota of half a pod",
}
"""Wrong settings that only a comparison of numbers shows, or of a key and its value."""
OF_THE_SERVER = {"parameter out of range", "library that the image has not"}
"""What PostgreSQL alone knows of the values of its parameters."""
TWICE = {"pool twice", "key twice inside a pool"}
"""YAML itself forbids it, and so does every editor; what it reads has the last one alone."""


def _read(value: object) -> object:
    """A value that a test writes as JSON text, as a stack file has it."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _file(stack: str, changes: dict[str, Any]) -> dict[str, Any]:
    return {"config": merged(stack_config(stack), {k: _read(v) for k, v in changes.items()})}


def _stale(name: str, made: str) -> bool:
    return (ROOT / "docs" / name).read_text() != made


def test_the_page_and_the_schema_are_those_of_the_settings() -> None:
    stale = [
        name
        for name, made in (("settings.schema.json", as_text(SCHEMA)), ("settings.md", page()))
        if _stale(name, made)
    ]
    assert not stale, f"{' and '.join(stale)} in docs/ are stale; run: make settings"


def test_it_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


def _described(schema: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Every key of a mapping that has a type, and its description."""
    if isinstance(schema, dict):
        if "type" in schema:
            for key, given in schema.get("properties", {}).items():
                yield f"{path}.{key}", given.get("description", "")
        for key, inner in schema.items():
            yield from _described(inner, f"{path}.{key}")


def test_every_key_has_one_short_sentence() -> None:
    found = dict(_described(SCHEMA))
    assert len(found) > 100
    for path, text in found.items():
        if path != ".config":
            assert re.fullmatch(r"[A-Z`/].{4,190}\.", text), f"{path}: {text!r}"


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_it_accepts_the_stack_files_which_name_it(stack: str) -> None:
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text()
    named = text.splitlines()[0].partition("# yaml-language-server: $schema=")[2]
    assert json.loads((ROOT / named).read_text()) == SCHEMA
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))] == []


def test_it_accepts_the_stack_files_of_the_examples() -> None:
    for path in ROOT.glob("examples/*/Pulumi.*.yaml"):
        file = yaml.safe_load(path.read_text())
        assert [error.message for error in VALIDATOR.iter_errors(file)] == [], path


PARTS = re.split(r"^## (.+)$", page(), flags=re.MULTILINE)
GROUPS = {"ado:profile": PARTS[0], **dict(zip(PARTS[1::2], PARTS[2::2], strict=True))}
"""Heading of the page → what stands below it; the first keys have none."""


@pytest.mark.parametrize("heading", GROUPS)
def test_each_group_of_the_page_has_an_example_of_its_own_that_a_stack_may_say(
    heading: str,
) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", GROUPS[heading], re.DOTALL)
    said = yaml.safe_load(example)
    about = heading.strip("`").replace("<name>", "*").lower()
    keyed = [key for key in keys(said) if key.lower().startswith(about)]
    assert keyed or (heading == "Secrets" and said.keys() <= {f"ado:{s}" for s in ConfigSecret})
    file = {**stack_config("dev"), **said}
    assert [error.message for error in VALIDATOR.iter_errors({"config": file})] == []
    secrets = {key: "v" for key in said if key.removeprefix("ado:") in set(ConfigSecret)}
    references = {f"ado:{key}" for key in said.get("ado:secrets", ())}
    given = {key: value for key, value in SECRETS.items() if key not in references}
    configure({key: v for key, v in file.items() if key not in secrets}, {**given, **secrets})
    load_stack()  # refuses what is wrong


def test_it_accepts_what_pulumi_writes_into_a_file() -> None:
    written = _file("dev", {"ado:protectData": "true"})  # as text; see `pulumi stack init`
    written["config"]["ado:protectData"] = "true"
    written["config"]["kubernetes:context"] = "here"
    written["config"]["ado:databasePassword"] = {"secure": "v1:x"}
    assert VALIDATOR.is_valid({"encryptionsalt": "v1:x", **written})


@pytest.mark.parametrize("wrong", sorted(WRONG.keys() - BETWEEN_KEYS - OF_THE_SERVER - TWICE))
def test_it_refuses_every_wrong_setting(wrong: str) -> None:
    assert not VALIDATOR.is_valid(_file("dev", WRONG[wrong][0]))


@pytest.mark.parametrize("wrong", sorted(BETWEEN_KEYS | OF_THE_SERVER | TWICE))
def test_what_it_lets_pass_is_known(wrong: str) -> None:
    assert VALIDATOR.is_valid(_file("dev", WRONG[wrong][0]))


@pytest.mark.parametrize("demand", DEMANDS)
def test_it_refuses_what_production_does(demand: str) -> None:
    assert not VALIDATOR.is_valid(_file("prod", DEMANDS[demand][0]))


@pytest.mark.parametrize("section", ["edge", "gateway", "orchestrator", "workerPools"])
def test_it_refuses_a_stack_without_a_section_that_must_be(section: str) -> None:
    file = _file("dev", {})
    del file["config"][f"ado:{section}"]
    assert not VALIDATOR.is_valid(file)
    assert not VALIDATOR.is_valid({**file, "config": {**file["config"], POOLS: {}}})


@pytest.mark.parametrize("secret", ConfigSecret)
def test_it_refuses_a_secret_in_plain_text(secret: ConfigSecret) -> None:
    assert not VALIDATOR.is_valid(_file("dev", {f"ado:{secret}": "canary"}))


def test_it_knows_which_keys_an_external_store_has() -> None:
    url = {"secure": "v1:x"}
    file = _file("dev", {})
    del file["config"]["ado:redis"]
    external = file["config"] | {"ado:redis": {"mode": "external", "nodes": ["r.example.com:1"]}}
    for right in (external, external | {"ado:redisUrl": url}):
        assert VALIDATOR.is_valid({"config": right})
    for wrong in (
        external | {"ado:redisUrl": url, "ado:redisPassword": url},
        external | {"ado:redisUrl": url, "ado:redis": {"mode": "external", "volume": {}}},
        file["config"] | {"ado:redisUrl": url},
    ):
        assert not VALIDATOR.is_valid({"config": wrong})


NUMBERS = (
    *("0", "0.0", "00", "1", "007", "0.5", "1.5", "1.5555", "24", "24.0", "26", "999999", "-1"),
    *("1024", "1024000", "26388279066624", "9" * 15, "", "\u0663"),
)
HOSTS = (
    "localhost",
    "a",
    "a.b",
    "A.b",
    "a_b.c",
    "-a",
    "a-",
    "a..b",
    "",
    "10.0.0.1",
    "a" * 64,
    "[::1]",
)
PORTS = ("", ":", ":0", ":1", ":65535", ":65536", ":080", ":x", ":1:2")
FIELDS = ("*", "?", "5", "07", "31", "59", "60", "1-5", "*/2", "1,2", "jan", "SUN", "", "1-", "*/0")
SAMPLES: dict[str, list[str]] = {
    "Cpu": [n + unit for n, unit in product(NUMBERS, ("", "m", "M", " m"))],
    "Memory": [
        n + unit for n, unit in product(NUMBERS, ("", *"kMGTK", "Ki", "Mi", "Gi", "Ti", "Pi", "m"))
    ],
    "DnsName": [*HOSTS, *map(".".join, product(HOSTS, HOSTS)), "a." * 127 + "a"],
    "HostName": [*HOSTS, *map(".".join, product(HOSTS, HOSTS)), "1.2.3", "1.2.3.4.5", "::1"],
    "StorageClassName": [*HOSTS, "a.b"],
    "Region": ["eu-central-1", "RegionOne", "EU", "", "-", "a b", "a" * 63, "a" * 64],
    "NamespaceName": list(HOSTS),
    "HostAndPort": [host + port for host, port in product(HOSTS, PORTS)],
    "HttpUrl": [
        f"{scheme}{host}{port}{path}"
        for scheme, host, port, path in product(
            ("http://", "HTTPS://", "s3://", "//", ""),
            HOSTS,
            PORTS,
            ("", "/", "/a/b", "/a b", "/?q", "/#f", "/@"),
        )
    ],
    "Registry": [
        f"{host}{port}{path}"
        for host, port, path in product(HOSTS, PORTS, ("", "/", "/a", "/a/b-c__d", "/A", "//a"))
    ],
    "BucketName": [
        *HOSTS,
        "abc",
        "a.b.c",
        "1.2.3.4",
        "1.2.3",
        "a" * 255,
        "a" * 256,
        "x_y",
        "X.",
        "_x",
        "x y",
    ],
    "LabelKey": [
        prefix + name
        for prefix, name in product(
            ("", "/", "a.b/", "A.b/", "app.kubernetes.io/", "a/b/"),
            ("a", "A_b.c", "-a", "a-", "", "a" * 63, "a" * 64),
        )
    ],
    "LabelValue": ["", "a", "A_b.c", "-a", "a-", "a" * 63, "a" * 64, "a b"],
    "PodLabelKey": [
        prefix + name
        for prefix, name in product(
            ("", "a.b/", "app.kubernetes.io/", "apps.kubernetes.io/", "kubernetes.io/", "a/b/"),
            ("a", "app", "apps", "pod-template-hash", "-a", "a" * 64),
        )
    ],
    "NodeLabelKey": ["a", "a.b/c", "app.kubernetes.io/x", "a/b/c", "-a", ""],
    "AnnotationKey": ["a", "a.b/c", "app.kubernetes.io/x", "a/b/c", "-a", ""],
    "VariableName": ["A", "_a.b-c", "1A", "A=B", "", "a b"],
    "PartName": list(HOSTS),
    "ObjectName": [*HOSTS, "a.b"],
    "AbsolutePath": [
        "/",
        "/a",
        "/a/b.c",
        "/.a",
        "/a/",
        "a",
        "/a/..",
        "/..",
        "/.",
        "/a/./b",
        "/..a",
    ],
    "RelativePath": ["a", "a/b.c", ".a", "/a", "a/", "..", "../a", "a/../b", "."],
    "ImageReference": [
        name + version
        for name, version in product(
            ("a", "a/b", "host:5000/a", "", "-a", "a b"),
            (
                "",
                ":1",
                ":latest",
                "@sha256:" + "a" * 64,
                "@sha256:a",
                ":-1",
                ":1@sha256:" + "a" * 64,
            ),
        )
    ],
    "Cidr": [
        *("10.0.0.0/8", "10.0.0.1/8", "10.1.2.3/32", "10.1.2.3/33", "10.1.2.3", "010.0.0.0/8"),
        *("256.0.0.0/8", "0.0.0.0/0", "0.0.0.0/00", "::/0", "fd00::/8", "FD00::/8", "fd00::1/8"),
        *("2001:db8::/32", "2001:0db8::/32", "2001:db8::/129", "::1/128", "/8", "", "a/8", "x"),
    ],
    "CronSchedule": [
        *(f"{field} 1 * * *" for field in FIELDS),
        *(f"0 {field} * * *" for field in FIELDS),
        *(f" 0  1 {field} * * " for field in FIELDS),
        *(f"0 1 * {field} *" for field in FIELDS),
        *(f"0 1 * * {field}" for field in FIELDS),
    ],
}
LET_PASS = {
    "Cpu": {"0.5m"},  # less than the least that there is
    "Memory": {"0.5"},
    "Cidr": {"10.0.0.1/8", "fd00::1/8", "2001:0db8::/32"},  # other spellings of a range
    "CronSchedule": {"SUN", "jan"},  # where the other names belong
}
"""What a schema lets pass and the settings refuse, or a part of it."""


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_schema_of_a_value_refuses_what_the_settings_refuse_and_nothing_else(kind: str) -> None:
    module = values if hasattr(values, kind) else pod_values
    adapter = TypeAdapter[Any](getattr(module, kind))
    validator = Draft7Validator(adapter.json_schema())
    accepted = 0
    for sample in SAMPLES[kind]:
        try:
            adapter.validate_python(sample, strict=True)
        except ValidationError:
            if not any(part in sample.split() for part in LET_PASS.get(kind, ())):
                assert not validator.is_valid(sample), f"{sample!r} passes"
        else:
            accepted += 1
            assert validator.is_valid(sample), f"{sample!r} is refused"
    assert 0 < accepted < len(SAMPLES[kind])


def _exists(path: str) -> bool:
    """Whether the page has a row for a key."""
    section, _, key = path.replace("workerPools.*", "workerPools").partition(".")
    table = re.search(
        rf"^## `{section}(?:\.<name>)?`\n.*?(?=^## )", page(), re.DOTALL | re.MULTILINE
    )
    return bool(table) and (not key or f"| `{key}` |" in table[0])


def test_a_key_that_there_was_is_gone_and_its_new_name_is_there() -> None:
    assert _exists("ado:workerPools.*.drain.preStop")
    for key, now in NO_LONGER.items():
        assert not _exists(key)
        assert not isinstance(now, Renamed) or _exists(now.to)


def test_a_field_without_a_docstring_is_named() -> None:
    bare: type[BaseModel] = create_model("Bare", key=(int, 1))
    with pytest.raises(KeyError, match=r"Bare\.key has no docstring"):
        bare.model_json_schema(schema_generator=Described)
