"""Every case of tests/golden is booked as it says, to the cent."""

import re
from typing import Any

import pytest
from support import golden

from bookkeeping.journal import Entry, Role
from bookkeeping.money import format_minor
from bookkeeping.rejections import Rejection, SetAside

CASES = golden.cases()


@pytest.mark.parametrize(("booking", "closed"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_document_is_booked_as_the_case_says(booking: dict[str, Any], closed: list[str]):
    made = golden.book(booking, closed)
    if "held" in booking:
        assert isinstance(made, Rejection), made
        assert made.code == booking["held"]
        assert made.action == booking.get("action", made.action)
        assert made.sentence == booking.get("sentence", made.sentence)
        return
    if "set_aside" in booking:
        assert isinstance(made, SetAside), made
        assert made.code == booking["set_aside"]
        return
    assert isinstance(made, Entry), made
    if "journal" in booking:
        compare(booking["journal"], made)
    if "journal_in_division_currency" in booking:
        compare(booking["journal_in_division_currency"], made.in_currency("EUR"))
    particulars(booking, made)


ENGLISH = re.compile(
    r"\b(payment|refund|payout|invoice|credit note|write-off|vat|base|tax|exchange|rounding|discount|reversal|booking)\b",
    re.IGNORECASE,
)


def test_what_stands_on_an_entry_is_dutch_where_the_division_is():
    """Of every kind of document and line; what Chargebee's own descriptions say stays as it is."""
    seen = set()
    for name, booking, closed in CASES:
        settings = {**booking.get("with", {}), "language": "nl"}
        made = golden.book({**booking, "with": settings}, closed)
        if isinstance(made, Entry):
            known = {line.get("product", "Charge") for line in booking["document"].get("lines", ())}
            words = {made.description, *(line.description for line in made.lines)} - known
            written = bool(settings.get("texts"))
            assert written or not [each for each in words if ENGLISH.search(each)], (name, words)
            seen |= {each.split()[0] for each in words if each}
    wanted = {"Betaling", "Terugbetaling", "Uitbetaling", "Koersverschil", "Ingehouden", "Afboeking", "Btw", "Grondslag"}
    assert seen >= {*wanted, "Factuur", "Creditnota", "Afronding", "Koersafronding", "Korting", "Terugboeking"}


def compare(expected: str, made: Entry) -> None:
    booked = golden.journal(made)
    assert golden.tidy(booked) == golden.tidy(expected), f"\nexpected:\n{expected}\nbooked:\n{booked}"


def particulars(booking: dict[str, Any], made: Entry) -> None:
    """Compare what a case says beyond its journal."""
    revenue = [line for line in made.lines if line.role in (Role.REVENUE, Role.ROUNDING)]
    reported = f"{made.reporting_year}-{made.reporting_period:02d}" if made.reporting_period else None
    facts = {
        "vat_codes": [line.vat_code for line in revenue],
        "vat_of_lines": [format_minor(abs(line.vat_minor), made.currency) for line in revenue],
        "deferred": golden.deferrals(made),
        "released": golden.releases(made, booking),
        "discount_lines": golden.discount_lines(made),
        "dimensions": [line.cost_center or "none" for line in revenue],
        "notes": [line.notes for line in revenue],
        "payment_condition": made.payment_condition,
        "rate": str(made.exchange_rate or "none"),
        "entry_date": made.entry_date,
        "reported_in": reported,
        "reference": made.reference,
        "journal_code": made.journal,
        "description": made.description,
        "descriptions": [line.description for line in made.lines],
    }
    for name, value in facts.items():
        if name in booking:
            assert value == booking[name], name
    if "reported_in" not in booking:
        assert reported is None
    if "deferred" not in booking:
        assert all(line.first is None for line in made.lines)
    assert any(booking.get("explained", "") in str(sentence) for sentence in made.explanation), made.explanation


def test_every_case_that_the_reference_lists_is_there():
    names = {name.split("_")[0] for name, _, _ in CASES}
    wanted = {*range(1, 4), *range(5, 8), *range(9, 12), *range(13, 23), *range(25, 31), *range(32, 40), *range(46, 49)}
    wanted |= {50, 52, 54, 55}  # the reference leaves the other numbers out
    assert {f"g{number:02d}" for number in wanted} <= names
    receipts = {path.name.split("_")[0] for path in (golden.FOLDER / "receipts").glob("*.yaml")}
    assert {"g41", "g42", "g44", "g45"} <= receipts, "money from the bank, told in tests/e2e/test_receipts.py"
