"""What a hold says to add for a day that no version of a rule has can be added, and the document is booked by it."""

from copy import deepcopy
from datetime import date
from typing import Any

import pytest
import yaml
from support import golden

from bookkeeping.journal import Entry
from bookkeeping.rejections import Rejection

CASES = [booking for name, booking, _ in golden.cases() if name.startswith("rules_of_other_days-")]
CODES = {"revenue": "8000", "vat": "2", "discounts.rules": "8090", "payment_conditions.rules": "14", "control_accounts": "1290"}


def added(booking: dict[str, Any], held: Rejection) -> dict[str, Any]:
    """Return the settings of a case with the rule that its hold says to add."""
    settings: dict[str, Any] = deepcopy(booking["with"])
    words, _, item = held.action.partition(", or add one beside it: ")
    place = words.rpartition("divisions.100001.")[2]
    rules: Any = settings
    for name in place.split("."):
        rules = rules[name]
    rules.append(yaml.safe_load(item.replace("...", CODES[place])))
    return settings


@pytest.mark.parametrize("booking", CASES, ids=[each["document"]["number"] for each in CASES])
def test_what_a_hold_says_to_add_books_the_document(booking: dict[str, Any]):
    held = golden.book(booking, [])
    assert isinstance(held, Rejection)
    made = golden.book({**booking, "with": added(booking, held)}, [])
    assert isinstance(made, Entry), made


def test_every_kind_of_rule_with_days_is_tried():
    assert len(CASES) == len(CODES)


def test_the_nearest_version_is_named_whichever_side_it_is_on():
    rules = [
        {"when": {"family": "subscriptions", "country": "NL"}, "account": "8000", "until": "2026-03-01"},
        {"when": {"family": "subscriptions", "currency": "EUR", "country": "NL"}, "account": "8010", "from": "2026-12-01"},
        {"when": {"family": "subscriptions", "country": "DE"}, "account": "8040", "from": "2026-03-05"},
    ]
    document = next(each["document"] for each in CASES if each["document"]["number"] == "INV-O1")
    held = golden.book({"document": {**document, "date": date(2026, 4, 1)}, "with": {"revenue": rules}}, [])
    assert isinstance(held, Rejection)
    assert "country: NL, until: 2026-03-01 would fit, but 2026-04-01 decides" in held.sentence
    assert held.action.endswith(
        "end later under divisions.100001.revenue, or add one beside it: {when: {family: subscriptions, "
        'country: NL}, account: "...", from: 2026-03-02}'
    )
    assert "De regel voor family: subscriptions, country: NL, until: 2026-03-01 zou passen" in held.sentence_nl
