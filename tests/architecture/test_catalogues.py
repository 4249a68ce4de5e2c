"""The generated pages are what the code says, and the catalogue has the codes that can occur, no fewer and no more."""

import ast
import re
import subprocess
import sys
from functools import cache

import pytest
from support.house_rules import ROOT, tracked_files

from catalogue_of_errors import EXACT_SAYS, EXITS, error_sections, readable
from exact_writer.refusals import ACTIONS
from worked_cases import worked_case

CODES = sorted({code for _, rows in error_sections() for code, _, _ in rows} - {code for code, _, _ in EXITS})
TABLES = ("REASONS", "SET_ASIDES", "DUTCH_REASONS", "DUTCH_SET_ASIDES", "ACTIONS", "PDF_ACTIONS", "REFUSALS", "COMPLAINTS")
# The first argument of these that is a word in snake_case, or the `code` by name, is a stable code.
RAISERS = (
    "Permanent",
    "Transient",
    "Backpressure",
    "Problem",
    "Refusal",
    "UnusableEventError",
    "RefusedError",
    "_problem",
    "Complaint",
)
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
HOLE = "\0"


def _word(node: ast.AST) -> str | None:
    """Return a text constant, with a hole for whatever is filled in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values)
    return None


def _table_keys(tree: ast.Module) -> set[int]:
    """Return the identities of the keys of the tables of codes: a row of its own makes no code occur."""
    keys: set[int] = set()
    for node in tree.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or not isinstance(node.value, ast.Dict):
            continue
        if node.target.id in TABLES:
            keys |= {id(key) for key in node.value.keys}
    return keys


@cache
def _product() -> list[ast.Module]:
    """Return the product's code; not read where the tests are only collected."""
    return [
        ast.parse((ROOT / path).read_text())
        for path in tracked_files()
        if path.suffix == ".py" and path.parts[0] in ("shared", "services", "console")
    ]


@cache
def _words() -> set[str]:
    return {
        word
        for tree in _product()
        for ignored in [_table_keys(tree)]
        for node in ast.walk(tree)
        if id(node) not in ignored and (word := _word(node)) is not None
    }


@cache
def _patterns() -> set[str]:
    return {word for word in _words() if HOLE in word and SNAKE.fullmatch(word.replace(HOLE, "x"))}


def _raised() -> set[str]:
    found = set()
    for tree in _product():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name in RAISERS:
                given = [*call.args[:2], *(keyword.value for keyword in call.keywords if keyword.arg == "code")]
                found |= {word for each in given if (word := _word(each)) and SNAKE.fullmatch(word.replace(HOLE, "x"))}
    return found


def _fits(pattern: str, code: str) -> bool:
    return re.fullmatch(".+".join(map(re.escape, pattern.split(HOLE))), code) is not None


@pytest.mark.parametrize("page", ["events", "errors", "bookkeeping"])
def test_a_generated_page_is_what_the_code_says(page):
    done = subprocess.run([sys.executable, "scripts/docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"docs/{page}.md" not in done.stdout, done.stdout
    assert done.returncode in (0, 1), done.stderr
    assert not done.stderr


@pytest.mark.parametrize("code", CODES)
def test_a_code_of_the_catalogue_is_said_outside_of_its_table(code):
    assert code in _words() or any(_fits(word, code) for word in _patterns())


def test_a_code_that_is_raised_is_in_the_catalogue():
    raised = _raised()
    assert {"body_too_large", "unreadable_message", "unknown_journal", "consent_unknown"} <= raised
    assert not {pattern for pattern in raised if not any(_fits(pattern, code) for code in CODES)}


def test_every_refusal_of_exact_has_its_meaning():
    assert EXACT_SAYS.keys() == ACTIONS.keys()


def test_templates_are_shown_as_prose():
    assert readable('Add under {division}: {{when: {{{condition}}}, account: "..."}}{rest}') == (
        'Add under *division*: {when: {*condition*}, account: "..."}'
    )


def test_a_case_without_an_outcome_is_no_page():
    with pytest.raises(ValueError, match="INV-1 has no journal"):
        worked_case("x.yaml", "case: x\nbookings: [{document: {kind: invoice, number: INV-1, date: 2026-01-01}}]")
