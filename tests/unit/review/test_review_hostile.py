"""Whatever a branch holds: its report is no longer than a comment, inert, and tells no secret."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ado_infra.render.objects import RenderedObject
from ado_infra.review.comparison import Comparison, compared
from ado_infra.review.preview import preview
from ado_infra.review.report import LIMIT, report
from ado_infra.review.side import Side, here
from tests.support.recording import stack_config
from tests.unit.review.sides import AGAINST, CIPHER, altered, project, side, thing, told, written

OURS = {"<details>", "</details>", "<br>", "<code>", "</code>", "<sub>", "</sub>"}
CANARY = "cAnarY7"
NASTY = (
    "a|b`c`\n\n# h\n[l](http://e)![i](http://e/i)<script>x</script></details><b>"
    "\x1b[31m\x9b\x07\u202e@everyone **b** <!-- <h1> ||| \r\n- x\n```\ny"
)


def tokens(text: str) -> list[Token]:
    found = MarkdownIt("commonmark").enable("table").parse(text)
    return [inner for each in found for inner in (each, *(each.children or ()))]


def check(text: str) -> None:
    """It is short enough, and all structure in it is the report's own."""
    assert len(text.encode()) <= LIMIT
    assert all(line.isprintable() for line in text.splitlines())
    assert CANARY not in text
    for each in tokens(text):
        assert each.type not in {"link_open", "image", "hr", "blockquote_open", "code_block"}
        if each.type == "html_inline":
            assert each.content in OURS
        if each.type == "html_block":
            for tag in re.findall(r"<[^>]*>?", each.content):
                assert tag in OURS | {"<summary>", "</summary>", "<!-- ado-ops review -->"}
        if each.type == "fence":
            assert each.info == "text"
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert len(headings) == sum(each.type == "heading_open" for each in tokens(text))
    assert text.count("<details>") == text.count("</details>")


def config_maps(*names: str, **fields: Any) -> Side:
    return Side(objects=[thing("ConfigMap", name, **fields) for name in names])


def pods(name: str, *, env: dict[str, str], image: str = "x:1") -> RenderedObject:
    variables = [{"name": key, "value": value} for key, value in env.items()]
    container = {"name": name, "image": image, "env": variables}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    return replace(
        thing("Deployment", name),
        manifest={**thing("Deployment", name).manifest, "spec": {"template": template}},
    )


def of_env(before: dict[str, str], after: dict[str, str]) -> str:
    return told(Side(objects=[pods("p", env=before)]), Side(objects=[pods("p", env=after)]))


def huge_values() -> str:
    after = {f"V{n}": "y" * 1_000_000 for n in range(5)}
    return of_env({f"V{n}": "x" * 1_000_000 for n in range(5)}, after)


def thousands_of_objects() -> str:
    return told(Side(), config_maps(*(f"map-{n}" for n in range(3000))))


def thousands_of_fields() -> str:
    before = {f"V{n}": "a" for n in range(3000)}
    return of_env(before, dict.fromkeys(before, "b"))


@cache
def hundreds_of_stacks() -> str:
    after = config_maps(*(f"map-{n}" for n in range(30)))
    return written(*(compared(f"stack-{n}", Side(), after) for n in range(400)))


def nasty_names() -> str:
    nasty = pods(NASTY, env={NASTY: "1"}, image=NASTY)
    other = pods(NASTY, env={NASTY: NASTY}, image=f"{NASTY}2")
    labelled = thing("ConfigMap", "c", data={NASTY: NASTY})
    return told(Side(objects=[nasty]), Side(objects=[other, labelled]))


def nasty_kinds() -> str:
    return told(Side(), Side(objects=[thing(NASTY, NASTY)]))


def nasty_settings() -> str:
    before = {"ado:edge": json.dumps({"host": NASTY, NASTY: 1}), NASTY: NASTY}
    after = {"ado:edge": json.dumps({"host": f"{NASTY}2"}), "kubernetes:context": NASTY}
    waivers = {"ado:policies": json.dumps({"waived": {NASTY: NASTY}})}
    return told(Side(config=before), Side(config={**after, **waivers}))


def nasty_problems() -> str:
    return told(Side(problem=NASTY), Side(problem=f"{NASTY}\npassword={CANARY}\n" * 50))


def secrets_in_the_environment() -> str:
    kept = {
        "DB_PASSWORD": "one",
        "URL": "postgresql://u:one@h/d",
        "DSN_LIKE": "host=h password=one",
    }
    given = {
        "DB_PASSWORD": CANARY,
        "URL": f"postgresql://u:{CANARY}@h/d",
        "DSN_LIKE": f"host=h password={CANARY}",
        "HARMLESS": f"wJalrXUtnFEMI/K7MDENG/{CANARY}KEY",
    }
    return of_env(kept, given)


def secrets_of_all_kinds() -> str:
    def secret(text: str) -> RenderedObject:
        return thing("Secret", "s", type="Opaque", data={"k": text}, stringData={"l": text})

    def marked(text: str) -> RenderedObject:
        made = thing("ConfigMap", "c", data={"open": "x", "k": [text]}, annotation=text)
        return replace(made, secrets=("data.k[0]", "annotation"))

    def of(text: str) -> Side:
        return Side(objects=[secret(text), marked(text)])

    found = told(of("former"), of(CANARY))
    assert "`data.k` changed" in found
    assert "`data.k[0]` changed" in found
    assert "`annotation` changed" in found
    return found


def plain_secrets_in_the_stack_file() -> str:
    """Which the program refuses; the file is compared all the same."""
    config = stack_config("dev")
    sides: list[Side] = []
    for more in (
        {"ado:databasePassword": {"secure": CIPHER}, "ado:config": {"password": "former"}},
        {
            "ado:databasePassword": CANARY,
            "ado:databasePasword": CANARY,
            "other:token": CANARY,
            "kubernetes:kubeconfig": CANARY,
            "ado:config": {"password": CANARY, "url": f"http://u:{CANARY}@h"},
        },
    ):
        with project({**config, **more}) as directory:
            sides.append(here(directory, "dev"))
    found = told(*sides)
    assert "| `ado:databasePassword` | (not shown) | another value |" in found
    assert "| `ado:databasePasword` | - | given now |" in found
    assert "canary" not in found.lower()
    return found


def an_encrypted_value_that_is_another() -> str:
    sides: list[Side] = []
    for cipher in ("v1:b25l:one", "v1:dHdv:two"):
        given = {"ado:redisPassword": {"secure": cipher}}
        with project({**stack_config("dev"), **given}) as directory:
            sides.append(here(directory, "dev"))
    found = told(*sides)
    assert "| `ado:redisPassword` | (not shown) | another value |" in found
    assert "no object changes" in found
    return found


def a_preview_full_of_it() -> str:
    inputs = {
        "kind": NASTY,
        "metadata": {"name": NASTY},
        "data": {"password": CANARY},
    }
    urn = f"urn:pulumi:dev::p::kubernetes:core/v1:{NASTY}::{NASTY}"
    diff = {f'data["{NASTY}"]{n}': {"kind": "update"} for n in range(3000)}
    steps = [
        {"op": "replace", "urn": f"{urn}{n}", "newState": {"inputs": inputs}, "detailedDiff": diff}
        for n in range(30)
    ]
    strange: list[Any] = [None, {"op": 3}, {"urn": 4}, {"newState": []}, {"detailedDiff": 7}]
    said = [{"severity": "error", "message": f"{NASTY} password={CANARY}"}, None, {}]
    given = {"steps": [*steps, *strange], "diagnostics": said, "config": {"k": CANARY}}
    return told(side(), side(), preview=preview(given))


CASES: list[Callable[[], str]] = [
    huge_values,
    thousands_of_objects,
    thousands_of_fields,
    hundreds_of_stacks,
    nasty_names,
    nasty_kinds,
    nasty_settings,
    nasty_problems,
    secrets_in_the_environment,
    secrets_of_all_kinds,
    plain_secrets_in_the_stack_file,
    an_encrypted_value_that_is_another,
    a_preview_full_of_it,
]


@pytest.mark.parametrize("case", CASES)
def test_it_neither_breaks_nor_leaks(case: Callable[[], str]) -> None:
    found = case()
    assert "###" in found
    check(found)


@pytest.mark.parametrize("case", [thousands_of_objects, thousands_of_fields])
def test_what_is_left_out_is_counted(case: Callable[[], str]) -> None:
    assert re.search(r"… and 2[89]\d\d more", case())


def test_what_is_too_long_all_the_same_is_cut_off_and_says_so() -> None:
    found = hundreds_of_stacks()
    assert "**Too long for a comment: what follows is cut off.**" in found.splitlines()[-1]
    assert len(found.encode()) > LIMIT * 0.9


def test_a_cut_ends_every_fold_and_block() -> None:
    def worker(manifest: dict[str, Any]) -> None:
        manifest["spec"]["template"]["spec"]["hostNetwork"] = True

    compare: Comparison = compared("dev", side(), altered(side(), "Deployment/ado-worker", worker))
    whole = len(report([compare], AGAINST).encode())
    for limit in range(400, whole, 37):
        text = report([compare], AGAINST, limit=limit)
        assert len(text.encode()) <= limit
        check(text)
        assert text.rstrip().endswith("`ado-ops review` shows it.")
