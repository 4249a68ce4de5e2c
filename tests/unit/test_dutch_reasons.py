"""Every reason why a document is not booked can be read in Dutch, with the same values filled in."""

from decimal import Decimal
from string import Formatter
from typing import get_args

import pytest

from bookkeeping.dutch import DUTCH_REASONS, DUTCH_SET_ASIDES
from bookkeeping.dutch_values import document_in_dutch
from bookkeeping.hold_reasons import REASONS
from bookkeeping.reasons import LineReason
from bookkeeping.rejections import SET_ASIDES, reject, set_aside
from bookkeeping.telling import TOLD, InTwo, tell
from contracts.facts import DocumentKind
from payment_matcher.refusals import REFUSALS


def values_of(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def test_no_reason_lacks_dutch_and_no_dutch_lacks_a_reason():
    assert DUTCH_REASONS.keys() == REASONS.keys()
    assert DUTCH_SET_ASIDES.keys() == SET_ASIDES.keys()


@pytest.mark.parametrize("code", sorted(REASONS))
def test_the_dutch_of_a_reason_tells_as_much_as_the_english(code):
    english, (sentence, action, overdue) = REASONS[code], DUTCH_REASONS[code]
    for one, other in ((english.sentence, sentence), (english.action, action), (english.overdue, overdue)):
        assert bool(one) == bool(other)
        assert values_of(one) == values_of(other)
        assert not one or one != other


@pytest.mark.parametrize("code", sorted(SET_ASIDES))
def test_the_dutch_of_what_is_set_aside_tells_as_much_as_the_english(code):
    assert values_of(SET_ASIDES[code]) == values_of(DUTCH_SET_ASIDES[code])
    assert SET_ASIDES[code] != DUTCH_SET_ASIDES[code]


@pytest.mark.parametrize("name", sorted(TOLD))
def test_the_dutch_of_an_explanation_tells_as_much_as_the_english(name):
    english, dutch = TOLD[name]
    assert values_of(english) == values_of(dutch)
    assert english != dutch
    words = tell(name, **dict.fromkeys(values_of(english), InTwo("one", "een")))
    assert "een" not in words.english.split()
    assert "one" not in words.dutch.split()


def test_the_line_of_an_explanation_stands_in_both_languages():
    reason = LineReason(
        description="Team",
        account="8000",
        net_minor=10000,
        revenue_rule="any line",
        revenue_index=0,
        vat_code="4",
        vat_minor=2100,
        vat_rule="country: NL",
        vat_index=0,
        rate=Decimal(21),
        about_dimensions="; cost centre NL by rule (any line)",
        about_dimensions_nl="; kostenplaats NL volgens regel (elke regel)",
    )
    told = reason.sentence("EUR")
    assert told.english == (
        "'Team' 100.00 on 8000 by rule (any line); VAT 21.00 with code 4 by rule (country: NL); cost centre NL by rule"
        " (any line)."
    )
    assert told.dutch == (
        "'Team' 100.00 op 8000 volgens regel (elke regel); btw 21.00 met code 4 volgens regel (country: NL); kostenplaats NL"
        " volgens regel (elke regel)."
    )


@pytest.mark.parametrize("kind", get_args(DocumentKind))
def test_no_kind_of_document_lacks_a_dutch_name(kind):
    assert document_in_dutch(f"{kind.replace('_', ' ')} X-1") != f"{kind.replace('_', ' ')} X-1"


@pytest.mark.parametrize("code", sorted(REFUSALS))
def test_no_receipt_is_left_unrecorded_without_a_dutch_reason(code):
    reason = REFUSALS[code]
    for english, dutch in ((reason.sentence, reason.sentence_nl), (reason.action, reason.action_nl)):
        assert values_of(english) == values_of(dutch)
        assert bool(english) == bool(dutch)
        assert not english or english != dutch


def test_a_hold_is_told_in_both_languages():
    made = reject("unreadable_document", document="credit note CN-7", field="due date")
    assert (made.sentence, made.sentence_nl) == (
        "Credit note CN-7 has no usable due date.",
        "Van creditnota CN-7 is de vervaldatum niet bruikbaar.",
    )
    waits = reject("waiting_for_credits", document="credit note CN-7", missing="invoice INV-1")
    assert waits.sentence_nl.startswith(
        "Creditnota CN-7 neemt wat eerdere creditnota's van de factuur overlaten, en factuur INV-1,"
    )
    asked = reject(
        "period_closed", document="invoice INV-1", date="2026-02-28", rest=InTwo(", and none is open", ", en geen is open")
    )
    assert asked.sentence.endswith("is closed, and none is open.")
    assert asked.sentence_nl.endswith("is gesloten, en geen is open.")
    assert set_aside("zero_total", document="payment txn_1").sentence_nl.startswith("Betaling txn_1 heeft alleen regels van nul")


@pytest.mark.parametrize(
    ("english", "dutch"),
    [
        ("VAT of write-off CN-1 (121.00 EUR of invoice INV-46)", "btw van afboeking CN-1 (121.00 EUR van factuur INV-46)"),
        ("exchange difference of refund txn_1", "koersverschil van terugbetaling txn_1"),
        ("vat reclaim CN-1", "btw van afboeking CN-1"),
        ("withheld tax tax_1", "ingehouden belasting tax_1"),
        ("payout po_1", "uitbetaling po_1"),
        ("something else", "something else"),
    ],
)
def test_documents_have_dutch_names(english, dutch):
    assert document_in_dutch(english) == dutch
