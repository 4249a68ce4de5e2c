"""The generated pages are what the code says, and every code in the catalogue is one that the code can say."""

import subprocess
import sys

import pytest
from support.house_rules import ROOT, tracked_files

from catalogue_of_errors import BACKBONE, DOOR, error_sections

CODES = sorted({code for _, rows in error_sections() for code, _, _ in rows})
SOURCES = "\n".join(
    (ROOT / path).read_text()
    for path in tracked_files()
    if path.suffix == ".py"
    and path.parts[0] in ("shared", "services", "console")
    and path.name not in ("refusals.py", "rejections.py")
)
TABLES = "\n".join((ROOT / path).read_text() for path in tracked_files() if path.name in ("refusals.py", "rejections.py"))
BUILT_UP = ("event_id_missing", "event_id_unusable", "event_type_missing", "event_type_unusable")


@pytest.mark.parametrize("page", ["events", "errors", "bookkeeping"])
def test_a_generated_page_is_what_the_code_says(page):
    done = subprocess.run([sys.executable, "scripts/docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"docs/{page}.md" not in done.stdout, done.stdout
    assert done.returncode in (0, 1), done.stderr


@pytest.mark.parametrize("code", CODES)
def test_a_code_of_the_catalogue_can_occur(code):
    assert f'"{code}"' in SOURCES or f'"{code}"' in TABLES or code in BUILT_UP


def test_the_door_and_the_backbone_say_no_code_that_is_not_in_the_catalogue():
    known = {code for code, _, _ in (*DOOR, *BACKBONE)}
    for raised in ("Refusal(4", "UnusableEventError(", "Permanent(\n"):
        for piece in SOURCES.split(raised)[1:]:
            quoted = piece.split('"')[1] if '"' in piece[:80] else ""
            if quoted.replace("_", "").isalpha() and quoted.islower() and quoted != "unknown_site":
                assert quoted in known, f"{quoted} is raised but not in the catalogue"
