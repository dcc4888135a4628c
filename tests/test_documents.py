"""The documents: links, anchors and images lead somewhere, every page can be found, and tables are true."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

from drivers.at.profiles import GENERIC, PROFILES
from scripts.reference import examples

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *PAGES]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Those that the renderer and GitHub agree on: they write runs of spaces and dashes in different ways."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        words = LINK.sub(lambda match: match[0][1:].partition("]")[0], heading).strip()
        kept = re.sub(r"[^\w\s-]", "", words).strip().lower()
        rendered = re.sub(r"[-\s]+", "-", unicodedata.normalize("NFKD", kept).encode("ascii", "ignore").decode())
        if rendered == kept.replace(" ", "-"):
            found.add(rendered)
    return found


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if re.match(r"https?://|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file() and ROOT in target.parents, link
        # What is rendered holds the pages alone.
        assert page.parent != DOCS or DOCS in target.parents, link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_menu_and_can_be_reached_from_the_first_one() -> None:
    menu = re.findall(r"([a-z-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(menu) == [page.name for page in PAGES]
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page.suffix == ".md" and page not in reached:
            reached.add(page)
            waiting += [
                DOCS / name for link in LINK.findall(prose(page)) if (name := link.partition("#")[0])[:4] != "http"
            ]
    assert reached >= set(PAGES)


def test_pictures_are_used() -> None:
    used = {Path(link).name for page in DOCUMENTS for link in LINK.findall(prose(page))}
    assert {picture.name for picture in DOCS.rglob("*.png")} <= used


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_every_maker_is_in_the_table_of_hardware(profile: object) -> None:
    (row,) = (
        line for line in (DOCS / "hardware.md").read_text().splitlines() if line.startswith(f"| `{profile.name}` |")
    )
    _, _, makers, two_sims, *_ = (cell.strip() for cell in row.split("|"))
    for maker in profile.makers:
        assert maker.replace("-", "") in makers.lower().replace("-", ""), maker
    own = [switch.use.partition("=")[0] for switch in profile.sim_switches if switch not in GENERIC.sim_switches]
    assert re.findall(r"`(AT[^`]+)`", two_sims) == own
    assert own or two_sims == "standard"


def test_examples_for_contributors_are_the_code_that_tests_run() -> None:
    text = (DOCS / "contributing.md").read_text()
    for name in ("folder_driver", "folder_upstream"):
        assert (ROOT / "tests" / "example" / f"{name}.py").read_text() in text
    assert text == examples.page(), "docs/contributing.md is stale; run: .venv/bin/python -m scripts.reference"


def test_the_map_names_every_module_beside_the_packages_and_nothing_that_is_not_there() -> None:
    text = (DOCS / "architecture.md").read_text()
    for module in (ROOT / "agent").glob("*.py"):
        word = "operations*.py" if module.name.startswith("operations") else module.name
        assert module.name == "__init__.py" or f"{word}`" in text or f"{word}:" in text, module.name
    for path in re.findall(r"`((?:agent|drivers|tests|scripts|docs)/[\w/.]+)[`:]", text):
        assert (ROOT / path).exists(), path
    for package in (*(ROOT / "agent").iterdir(), *(ROOT / "drivers").iterdir(), *(ROOT / "agent/upstreams").iterdir()):
        if package.is_dir() and (package / "__init__.py").exists():
            assert f"`{package.relative_to(ROOT)}" in text, package
