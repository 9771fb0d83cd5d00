"""The documentation: its site is built without a warning, its words are spelt right."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.distribution import run
from tests.support.recording import ROOT

PAGES = sorted(str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md"))
_SETS = re.compile(r"^\s*(?:[-*] |\d+\. |\|)", re.MULTILINE)
"""How a line of a list or a table begins that was not taken for one."""
_LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?([^"'\s>]+)"""
    r"""|<link\b[^>]*\brel=["']?(?:stylesheet|preconnect|preload|icon)["']?[^>]*\bhref=["']?([^"'\s>]+)"""
    r"""|<link\b[^>]*\bhref=["']?([^"'\s>]+)["']?[^>]*\brel=["']?(?:stylesheet|preconnect|preload|icon)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once, as `make docs` does it; nothing of it may come over the network."""
    folder = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | nowhere | {"NO_MKDOCS_2_WARNING": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _article(site: Path, page: str) -> str:
    built = (site / page).with_suffix(".html").read_text()
    return built.partition("<article")[2].partition("</article>")[0]


def test_the_site_is_built_without_a_warning(site: Path) -> None:
    assert (site / "index.html").exists()
    assert (site / "platform.svg").read_text() == (ROOT / "docs" / "platform.svg").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_lists_and_tables_of_a_page_are_taken_for_such(site: Path, page: str) -> None:
    prose = re.sub(r"<(pre|code|h1)\b.*?</\1>", "", _article(site, page), flags=re.DOTALL)
    assert not _SETS.search(re.sub(r"<[^>]*>", "", prose))


def test_the_reference_describes_every_component(site: Path) -> None:
    article = _article(site, "reference.md")
    assert "Produces: " in article
    assert 'id="ado_infra.WorkerPool.deployment"' in article


def test_a_readers_browser_asks_nobody_else(site: Path) -> None:
    loaded = {
        address
        for page in site.rglob("*.html")
        for found in _LOADED.findall(page.read_text())
        for address in found
        if address
    }
    assert loaded
    assert not [address for address in loaded if re.match(r"(?:https?:)?//", address)]
    styles = "".join(style.read_text() for style in site.rglob("*.css"))
    assert not re.search(r"url\([\"']?(?:https?:)?//", styles)


def test_words_are_spelt_right() -> None:
    run(sys.executable, "-m", "codespell_lib")
