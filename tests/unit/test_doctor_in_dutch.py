"""What `kruispost doctor` finds of its own is told in Dutch, every sentence of it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

import pytest

from console import doctor
from console.doctor_in_dutch import SENTENCES, SUBJECTS, finding_in_dutch, subject_in_dutch

# What is the same in both, and what is translated with the words that are put into it, of which there is a case below.
AS_IT_CAME = ("X", "it is not set; X", "SQLite, in X", "")
WITH_ITS_WORDS = ("the mapping fits what stands there (X)", "division X has no X rules, so every document will be held")


def _text(node: ast.expr) -> str | None:
    """Return a text as it may be told, with X for whatever is put into it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left)
    return None


def _told() -> Iterator[str]:
    """Give every sentence and advice that the doctor's own code writes."""
    for node in ast.walk(ast.parse(inspect.getsource(doctor))):
        found: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
            found = [*node.args[2:4], *(each.value for each in node.keywords if each.arg in ("sentence", "advice"))]
        elif (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id in ("sentence", "advice")
        ):
            found = [node.value]
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
            found = node.value.elts
        yield from filter(None, map(_text, found))
    yield doctor._AT_EXACTS_RATES
    yield from (f"it is not set; {why}" for why in doctor.SECRETS.values())


def test_every_sentence_of_the_doctor_has_its_dutch():
    told = set(_told())
    assert len(told) > 40
    assert [each for each in sorted(told) if finding_in_dutch(each) == each and each not in (*AS_IT_CAME, *WITH_ITS_WORDS)] == []


@pytest.mark.parametrize(
    ("english", "dutch"),
    [
        ("SQLite, in var/data, which the first start makes", "SQLite, in var/data, die de eerste start maakt"),
        ("https://a.example answers", "https://a.example antwoordt"),
        (
            "the mapping fits what stands there (12 ledger accounts, 3 VAT codes, 4 journals)",
            "de mapping past op wat er staat (12 grootboekrekeningen, 3 btw-codes, 4 dagboeken)",
        ),
        (
            "division 7 has no vat rules, so every document will be held",
            "administratie 7 heeft geen btw-regels, dus elk document wordt vastgehouden",
        ),
        ("set A or A_FILE", "zet A of A_FILE"),
        ("Invoices: not subscribed. Geen recht.", "Invoices: geen abonnement. Geen recht."),
        ("grootboekrekening 8000 bestaat niet", "grootboekrekening 8000 bestaat niet"),
    ],
)
def test_what_is_put_into_a_sentence_stays(english, dutch):
    assert finding_in_dutch(english) == dutch


def test_what_was_looked_at_is_named_in_dutch():
    subjects = ("division 100001 in Exact", "mapper rules", "KRUISPOST_ADMIN_TOKEN", "kruispost.yaml:12 divisions.1.vat[0]")
    dutch = ["administratie 100001 in Exact", "regels van mapper", *subjects[2:]]
    assert [subject_in_dutch(each) for each in subjects] == dutch
    assert len({english for english, _ in (*SENTENCES, *SUBJECTS)}) == len(SENTENCES) + len(SUBJECTS)
