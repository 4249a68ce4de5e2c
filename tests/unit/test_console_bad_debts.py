"""The calendar of bad debts: how each one stands on a day."""

from datetime import date
from typing import Any

import pytest

from console.bad_debts import calendar

TODAY = date(2027, 9, 10)


def row(
    number: str = "CN-1", *, suffix: str = "", state: str = "waiting", code: str = "vat_not_due", **more: Any
) -> dict[str, Any]:
    return {
        "site": "acme",
        "number": number,
        "suffix": suffix,
        "customer_id": "C",
        "division": 1,
        "document_date": "2027-10-05",
        "currency": "EUR",
        "decimals": 2,
        "total_minor": 2_100,
        "state": state,
        "code": code,
        "sentence": "21.00 EUR under code 2",
        **more,
    }


@pytest.mark.parametrize(
    ("found", "standing"),
    [
        (row(), "due soon"),
        (row(document_date="2027-10-11"), "open"),
        (row(document_date="2027-09-09"), "due soon"),
        (row(code="waiting_for_invoice"), "waiting"),
        (row(state="held", code="no_write_off_account"), "held"),
        (row(state="planned", code=""), "under way"),
        (row(state="booked", code=""), "reclaimed"),
        (row(state="set_aside", code="vat_reclaim_by_hand"), "by hand"),
        (row(state="set_aside", code="no_vat_to_reclaim"), "nothing to reclaim"),
    ],
)
def test_how_a_bad_debt_stands(found, standing):
    assert [each["state"] for each in calendar([found], TODAY)] == [standing]


def test_the_first_day_stands_first_and_what_was_booked_back_is_one_line():
    rows = [row("CN-2", document_date="2027-11-01"), row(state="booked", code=""), row(suffix="R", state="booked", code="")]
    listed = calendar(rows, TODAY)
    assert [(each["number"], each["state"], each["vat_minor"]) for each in listed] == [
        ("CN-1", "booked back", 2_100),
        ("CN-2", "open", 2_100),
    ]


def test_an_amount_that_is_no_vat_does_not_stand_as_one():
    """Of a write-off that carries no VAT only the debt is known, and of cents there is none."""
    unknown, none = row(state="held", code="write_off_without_vat"), row("CN-2", state="set_aside", code="no_vat_to_reclaim")
    assert [each["vat_minor"] for each in calendar([unknown, none], TODAY)] == [None, 0]
