"""Pages lead where they say, and decisions have the parts that make them worth reading."""

import re

import pytest
from support.house_rules import ROOT, tracked_files

PAGES = [path for path in tracked_files() if path.suffix == ".md"]
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)#\s]+)(?:#[^)]*)?\)|^\[[^\]]+\]: (?P<reference>\S+)$", re.MULTILINE)
DECISIONS = [path for path in PAGES if path.parent.name == "decisions"]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_to_a_file_leads_to_one(page):
    targets = [found["target"] or found["reference"] for found in LINK.finditer((ROOT / page).read_text())]
    dead = [each for each in targets if "://" not in each and not (ROOT / page.parent / each).exists()]
    assert not dead


def test_decisions_are_numbered_without_gaps():
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("page", DECISIONS, ids=lambda path: path.name)
def test_a_decision_has_its_four_parts_on_one_page(page):
    text = (ROOT / page).read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Alternatives"]
    assert text.startswith(f"# {int(page.name[:4])}. ")
    assert text.count("\n") <= 60


def test_every_make_target_that_the_pages_name_exists():
    targets = {*re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)}
    named = {
        found for page in PAGES for found in re.findall(r"(?:`|^ {4})make ([a-z0-9-]+)", (ROOT / page).read_text(), re.MULTILINE)
    }
    assert named <= targets
