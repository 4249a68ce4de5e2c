"""Which entry of Exact's is a document: by number, amount and customer; what does not agree is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
import pytest
from support.writer_stage import DAY, payment, sale

from contracts.ledger import LedgerLine
from exact_writer.standing import Differs, Standing, judge, standing_of

OURS, THEIRS = "account-1", "account-2"
DEBTORS = {"1300"}


def line(hundredths: int, account: str = "1300", **more: Any) -> LedgerLine:
    zeros: dict[str, Any] = dict.fromkeys(("timestamp", "line_number", "line_type", "dc_hundredths"), 0)
    nothing: dict[str, Any] = dict.fromkeys(
        ("vat_code", "vat_fc_hundredths", "cost_center", "cost_unit", "your_ref", "description", "payment_reference")
    )
    known: dict[str, Any] = {
        "line_id": "l",
        "entry_id": "e",
        "entry_number": 42,
        "type": 20,
        "journal": "70",
        "day": DAY,
        "year": 2026,
        "period": 3,
        "relation_id": OURS if account == "1300" else None,
        "currency": "EUR",
        "invoice_number": None,
    }
    return LedgerLine(account=account, fc_hundredths=hundredths, **{**zeros, **nothing, **known, **more})


@dataclass
class Case:
    """Somebody's entry, and what it is taken for."""

    lines: tuple[LedgerLine, ...]
    verdict: str
    command: Any = None


REF = {"your_ref": "INV-1"}
CASES = {
    "by reference": Case((line(12_100, **REF), line(-10_000, "8000", **REF)), "linked"),
    "by its text": Case((line(12_100, description="Factuur INV-1 maart", type=90),), "linked"),
    "by its payment reference": Case((line(12_100, payment_reference="inv-1"),), "linked"),
    "another amount": Case((line(12_101, **REF),), "differs"),
    "another customer": Case((line(12_100, relation_id=THEIRS, **REF),), "differs"),
    "another currency": Case((line(12_100, currency="USD", **REF),), "differs"),
    "no number at all": Case((line(12_100),), "differs"),
    "no number, and weeks away": Case((line(12_100, day=date(2026, 3, 20)),), "none"),
    "no number, and another amount": Case((line(12_000),), "none"),
    "another number": Case((line(12_100, your_ref="INV-2"),), "none"),
    "a number that begins so": Case((line(12_100, your_ref="INV-10"),), "none"),
    "what was received for it": Case((line(-12_100, type=40, description="INV-1"),), "none"),
    "nothing owed": Case((line(12_100, "8000", **REF),), "none"),
    "its line among others": Case(
        (line(12_100, description="INV-1", type=90), line(5_000, description="INV-2", type=90)), "linked"
    ),
    "money by its invoice": Case((line(-12_100, type=40, description="INV-1 ideal"),), "linked", "payment"),
    "a part of the money": Case((line(-2_100, type=40, description="INV-1 ideal"),), "none", "payment"),
    "a credit note is no money": Case((line(-12_100, type=21, description="INV-1"),), "none", "payment"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_stands_in_exact_is_the_document_only_when_all_agrees(name: str) -> None:
    case = CASES[name]
    command = sale("INV-1")
    if case.command == "payment":
        command = msgspec.structs.replace(
            payment("txn_1"), document=msgspec.structs.replace(sale("txn_1").document, kind="payment"), entry_date=DAY
        )
        lines = tuple(msgspec.structs.replace(each, description="txn_1 INV-1") for each in command.lines)
        command = msgspec.structs.replace(command, lines=lines)
    found = standing_of(command, case.lines, DEBTORS)
    verdict = judge(command, OURS, [found] if found else [])
    told = "linked" if isinstance(verdict, Standing) else "differs" if isinstance(verdict, Differs) else "none"
    assert told == case.verdict


def test_what_stands_there_twice_is_asked() -> None:
    entries = [standing_of(sale("INV-1"), (line(12_100, entry_id=each, **REF),), DEBTORS) for each in ("one", "two")]
    verdict = judge(sale("INV-1"), OURS, [each for each in entries if each is not None])
    assert isinstance(verdict, Differs)
    assert len(verdict.entries) == 2


def test_an_entry_of_many_documents_is_taken_line_by_line() -> None:
    """Once one of them has it, another document takes only a line that names it."""
    lines = (line(12_100, description="INV-1", type=90), line(12_100, description="INV-2", type=90))
    second = standing_of(sale("INV-2"), lines, DEBTORS, is_shared=True)
    assert second is not None
    assert judge(sale("INV-2"), OURS, [second]) == second
    assert standing_of(sale("INV-3"), lines, DEBTORS, is_shared=True) is None
    alone = (line(12_100, **REF),)
    assert standing_of(sale("INV-1"), alone, DEBTORS, is_shared=True) is None
