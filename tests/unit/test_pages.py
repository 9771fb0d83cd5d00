"""What the pages show: programs run, links lead somewhere, every component is described."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import ado_infra
from tests.support.recording import (
    ROOT,
    SECRETS,
    Recording,
    configure,
    record,
    record_stack,
    stack_config,
)

README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = (README, *sorted(DOCS.rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md")))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SOURCE = PROJECT["urls"]["Source"]
LINES_OF_README = 150

_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
LIBRARY = _PYTHON.findall((DOCS / "library.md").read_text())


def _anchors(page: Path) -> set[str]:
    """The headings of a page, as GitHub and the site link them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _links(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(
        r"^\[[^\]]+\]: (\S+)$", text, re.MULTILINE
    )


def _target(page: Path, link: str) -> Path | None:
    """The file of the checkout that a link leads to; None where it leads to another site."""
    if link.startswith(SOURCE):
        return ROOT / re.sub(rf"^{SOURCE}/(blob|tree)/main/", "", link)
    return None if "://" in link else page.parent / link if link else page


def _recorded(snippet: str) -> Recording:
    configure(stack_config("dev"), SECRETS)
    return record(lambda: exec(compile(snippet, "library.md", "exec"), {}))  # noqa: S102


def test_there_are_programs_on_the_library_page() -> None:
    assert len(LIBRARY) == 4


@pytest.mark.parametrize(
    ("snippet", "made"),
    [
        (LIBRARY[0], ("StatefulSet", "redis")),
        (LIBRARY[1], ("StatefulSet", "postgresql")),
        (LIBRARY[2], ("Deployment", "ado-worker-gpu")),
    ],
    ids=["whole", "database", "workers"],
)
def test_a_program_of_the_library_page_makes_what_it_says(
    snippet: str, made: tuple[str, str]
) -> None:
    assert _recorded(snippet).get(*made)


def test_the_transform_of_the_library_page_labels_every_object() -> None:
    objects = _recorded(LIBRARY[3]).objects
    assert len(objects) > 30
    assert {each.manifest["metadata"]["labels"]["cost-center"] for each in objects} == {"4711"}


def test_the_program_of_the_readme_is_one_of_them() -> None:
    (snippet,) = _PYTHON.findall(README.read_text())
    assert snippet in LIBRARY


def test_the_change_of_the_quick_start_rolls_the_dashboard_alone() -> None:
    assert "`limits` from `512Mi` to `256Mi`" in (DOCS / "quick-start.md").read_text()
    limits = stack_config("dev")["ado:dashboard"]["resources"]["limits"]
    assert limits["memory"] == "512Mi"
    changes = {"ado:dashboard": {"resources": {"limits": {"memory": "256Mi"}}}}
    before, after = (
        {each.key: each.manifest for each in record_stack("dev", changes=changed).objects}
        for changed in ({}, changes)
    )
    (changed,) = [key for key, manifest in after.items() if manifest != before[key]]
    assert changed == ("Deployment", "ado-dashboard")
    specs = [made[changed]["spec"] for made in (before, after)]
    assert specs[0]["template"] != specs[1]["template"]


def test_the_readme_is_short_and_reads_on_a_package_index() -> None:
    assert len(README.read_text().splitlines()) <= LINES_OF_README
    assert all(link.startswith("https://") for link in _links(README))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_into_the_project_lead_somewhere(page: Path) -> None:
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = _target(page, path)
        if target is None:
            continue
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in _anchors(target), f"{link}: there is no such heading"


def test_every_shortcut_of_the_readme_has_its_address() -> None:
    text = README.read_text()
    defined = set(re.findall(r"^\[([^\]]+)\]: ", text, flags=re.MULTILINE))
    prose = re.sub(r"^\[[^\]]+\]: .*|`[^`]*`", "", text, flags=re.MULTILINE)
    used = set(re.findall(r"\[([A-Za-z][^\]]*)\]", prose))
    assert {each.lower() for each in used} == {each.lower() for each in defined}


def test_the_readme_leads_to_the_examples() -> None:
    assert f"{SOURCE}/tree/main/examples" in _links(README)


def test_the_reference_has_every_name_of_the_library_once() -> None:
    found = re.findall(r"^::: ado_infra\.(\w+)$", (DOCS / "reference.md").read_text(), re.MULTILINE)
    assert sorted(found) == sorted(ado_infra.__all__)


def test_the_readmes_own_cluster_is_a_part_of_that_of_the_page() -> None:
    def typed(text: str) -> list[str]:
        lines = next(b for b in text.split("```") if "pulumi up" in b).strip().splitlines()
        return [line.split("  #")[0].strip() for line in lines]

    _, _, section = README.read_text().partition("\n## On a cluster of your own\n")
    page = typed((DOCS / "own-cluster.md").read_text())
    assert typed(section) == [line for line in page if line in typed(section)]
