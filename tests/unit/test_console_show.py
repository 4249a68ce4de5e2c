"""What the command line prints for programs: a row of a table is one line where standard output is no terminal."""

from __future__ import annotations

from typing import get_args

import pytest

from console import show
from console.words import named
from contracts.facts import DocumentKind
from contracts.topology import topology

LONG = "Add under divisions.100001.revenue: {when: {item_price: team-EUR}, account: '...'} and start the mapper once more"


def moved(number: str) -> dict[str, object]:
    return {
        "kind": "invoice",
        "number": number,
        "suffix": "",
        "document_date": "2026-02-28",
        "from_period": "2026-02",
        "to_period": "2026-03",
        "what": "entry",
        "amount_minor": 12_100,
        "vat_minor": 2_100,
        "vat": {"2": 2_100},
        "decimals": 2,
        "currency": "EUR",
        "filed_return": "2026-02",
    }


def held(number: str) -> dict[str, object]:
    row = {"kind": "invoice", "number": number, "suffix": "", "document_date": "2026-02-28", "state": "held"}
    empty = dict.fromkeys(("entry_number", "journal", "receipt_sentence", "sentence_nl", "action_nl", "receipt_sentence_nl"), "")
    money = {"total_minor": 12_100, "decimals": 2, "currency": "EUR"}
    return {**row, **empty, **money, "customer_id": "cust-1", "sentence": LONG, "action": LONG}


def test_a_row_is_one_line_and_no_word_is_broken_where_no_person_looks(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    out = show.screen()
    numbers = [f"INVOICE-OF-A-LONG-SERIES-2026-{place:06d}" for place in range(3)]
    show.moves(out, [moved(number) for number in numbers], [], "en")
    show.documents(out, [held(number) for number in numbers], "en", held=True)
    show.topology(out, topology([100001]))
    printed = capsys.readouterr().out.splitlines()
    for number in numbers:
        of_moves, of_holds = [text for text in printed if number in text]
        assert "filed" not in of_moves
        assert of_moves.count("2026-02") == 3
        assert of_holds.count(LONG) == 2
    assert any("kruispost.facts exact.account" in text for text in printed)


def test_what_nobody_owes_is_told_without_an_amount_of_zero_and_without_a_customer(capsys):
    nobody = {"kind": "payout", "number": "po_1", "customer_id": "", "total_minor": 0, "timeline": ()}
    show.life(show.screen(), [{**held("po_1"), **nobody}], "nl")
    show.life(show.screen(), [{**held("INV-1"), "customer_id": "cust-1", "timeline": ()}], "nl")
    assert capsys.readouterr().out.splitlines() == [
        "uitbetaling po_1: vastgehouden",
        "factuur INV-1: EUR 121.00, klant cust-1, vastgehouden",
    ]


def test_every_kind_of_document_has_a_dutch_name():
    assert {kind for kind in get_args(DocumentKind) if named(kind, "nl") == named(kind, "en")} == set()


def test_a_width_that_is_asked_for_is_kept(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert show.screen().width == 120


@pytest.mark.parametrize("columns", ["", "wide"])
def test_a_width_that_is_none_is_passed_over(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert show.screen().width == show.UNBROKEN
