"""Words of others neither leave their place nor tell a secret."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from ado_infra.review.escaping import HIDDEN, code, message, plain, value, without_secrets
from ado_infra.review.markdown import table

HOSTILE = [
    "plain",
    "",
    "   ",
    "`",
    "``x``",
    "a|b",
    "a`|`b",
    "\\`",
    "**bold** _it_ ~~s~~",
    "[x](javascript:alert(1))",
    "![x](http://e.example/x.png)",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</code></details><h1>x",
    "<!-- x",
    "a\n# heading\n- item",
    "a\r\n\r\n```\nx",
    "@everyone #1 GH-1",
    "&lt;b&gt; &#96;",
    "\x1b[31mred\x1b]8;;http://e.example\x07",
    "\x00\x08\x7f\x9b2J",
    "\u202eright to left\u2066",
    "a\u0300\u0301\u0302" * 9,
    "\ud800",
    "www.example.com http://e.example",
    "$x$ $$y$$",
    "\u200bzero\ufeff",
    "| - | - |",
    "|_x_ __y__ *z*",
    "` www.example.com http://e.example",
    "a\\",
    "|\\",
    "x" * 10_000,
    "`" * 500,
]


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data


def rendered(markdown: str) -> tuple[list[str], str]:
    """The tags that a reader gets, and all text."""
    html = MarkdownIt("commonmark").enable("table").render(markdown)
    parser = _Text()
    parser.feed(html)
    return re.findall(r"<(\w+)", html), parser.text


@pytest.mark.parametrize("text", HOSTILE)
def test_it_is_code_and_nothing_else(text: str) -> None:
    tags, shown = rendered(f"before {code(text)} after\n")
    assert tags == ["p", "code"]
    assert shown.startswith("before ")
    assert shown.endswith(" after\n")


@pytest.mark.parametrize("text", HOSTILE)
def test_it_stays_in_its_cell(text: str) -> None:
    tags, _ = rendered("\n".join(table(("a", "b"), [(code(text), "x")], 9)))
    assert tags.count("td") == 2
    assert set(tags) == {"table", "thead", "tbody", "tr", "th", "td", "code"}


@pytest.mark.parametrize("text", HOSTILE)
def test_it_stays_in_a_block_of_code_and_on_its_line(text: str) -> None:
    tags, _ = rendered(f"```text\n{plain(text)}\n```\n")
    assert tags == ["pre", "code"]
    assert "\n" not in plain(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_terminal_is_told_nothing(text: str) -> None:
    assert (code(text) + plain(text) + message(text)).isprintable()


def test_what_is_harmless_is_shown_as_it_is() -> None:
    assert code("registry.example.com:5000/a/b@sha256") == "`registry.example.com:5000/a/b@sha256`"
    assert rendered(code("a|`b`<c>"))[1] == "a|`b`<c>\n"
    assert code("x" * 101) == f"`{'x' * 99}…`"


CANARY = "cAnarY7"
LOOK_SECRET = [
    f"postgresql://ado:{CANARY}@db.example.com:5432/ado?sslmode=require",
    f"redis://:{CANARY}/@{CANARY}@redis",
    f"host=db user=ado password={CANARY} dbname=ado",
    f"Server=db;User Id=ado;Password={CANARY};",
    f'{{"apiKey": "{CANARY}"}}',
    f"https://e.example/x?sig={CANARY}&token={CANARY}",
    f"--password={CANARY}",
    f"tool --token {CANARY} run",
    f"sk-ant-{CANARY}-0123456789",
    f"ghp_{CANARY}0123456789abcdef",
    f"AKIA{CANARY}0123456789",
    f"Bearer {CANARY}.x.y",
    f"eyJhbGciOi{CANARY}.e30.x",
    f"-----BEGIN PRIVATE KEY----- {CANARY}",
    f"wJalrXUtnFEMI/K7MDENG/{CANARY}EXAMPLEKEY",
    f"0123456789abcdef0123456789abcdef {CANARY}",
    f"{'x' * 5000} password={CANARY}",
    f"password%3D{CANARY}",
]


@pytest.mark.parametrize("text", LOOK_SECRET)
def test_what_looks_secret_is_not_shown(text: str) -> None:
    assert CANARY not in message(text)
    assert CANARY not in value("spec.template.spec.containers[x].env[URL].value", text)


@pytest.mark.parametrize(
    "key",
    [
        "env[DB_PASSWORD].value",
        "ado:config.apiKey",
        "ado:databasePassword",
        "env[AWS_SECRET_ACCESS_KEY].value",
        "kubernetes:kubeconfig",
        "env[GITHUB_TOKEN].value",
        "ado:config.auth.private-key",
    ],
)
def test_of_a_key_that_names_a_secret_no_value_is_shown(key: str) -> None:
    assert value(key, "short") == HIDDEN
    assert value(key, 1234) == HIDDEN


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("spec.template.spec.volumes[redis].secret.secretName", "redis"),
        ("env[S3_BUCKET_ARTIFACTS].value", "ado-artifacts-2024-eu-central-1"),
        ("env[CONTROLLER_URL].value", "http://ado-orchestrator:3000"),
        ("image", f"ado/worker@sha256:{'0a' * 32}"),
        ("ado:edge.host", "a.very.long.name.of.a.host.example.com"),
        ("ado:images.registry", "123456789012.dkr.ecr.eu-central-1.amazonaws.com/ado"),
        ("spec.schedule", "0 3 * * *"),
    ],
)
def test_what_a_reviewer_has_to_see_is_shown(key: str, given: str) -> None:
    assert value(key, given) == code(given)


def test_numbers_structures_and_nothing_have_words() -> None:
    assert value("a", None) == "-"
    assert value("a", 3) == "`3`"
    assert value("a", True) == "`true`"  # noqa: FBT003 - a value as any
    assert value("a", {"b": 1}) == "(1 key)"
    assert value("a", [1, 2]) == "(2 items)"
    assert value("a", "x\ny\nz\n") == "(3 lines)"


@pytest.mark.parametrize("some", ["//", "password", "a", "--token", "=", "password=", "-- "])
def test_looking_for_secrets_takes_no_time(some: str) -> None:
    begin = time.process_time()
    without_secrets((some * 4000)[:4000])  # a pattern that goes back and forth would take minutes
    assert time.process_time() - begin < 2
