"""The history checker finds what it is there for: what is lost, doubled, a cent off, or booked for nobody."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from support.chargebee_shop import bill, shop
from support.history_checker import Seen, check

from simulators.chargebee.invoices import void_invoice
from simulators.chargebee.payments import Money, pay_invoice

LINES = [("1300", 12_100), ("8000", -10_000), ("1500", -2_100)]


def entry(journal: str, reference: str | None, lines: list[tuple[str, int]], text: str = "") -> dict[str, Any]:
    told = [
        {"gl_account": account, "amount_minor": amount, "amount_fc_minor": amount, "description": text}
        for account, amount in lines
    ]
    return {"journal": journal, "entry_number": 1, "your_ref": reference, "currency": "EUR", "lines": told}


@pytest.fixture
def books() -> tuple[Any, dict[str, Any], list[Seen]]:
    """An invoice that was paid by card, as both systems and the connector show it."""
    app = shop()
    invoice = bill(app)
    _, money = pay_invoice(
        app.site, invoice["id"], Money("card", gateway="stripe", gateway_account_id="gw_1", id_at_gateway="ch_1")
    )
    paid = entry("90", None, [("1290", 12_100), ("1300", -12_100)], f"{money['id']} {invoice['id']}")
    ledger = {"entries": [entry("70", invoice["id"], LINES), paid]}
    seen = [Seen("invoice", invoice["id"], "", "booked", ""), Seen("payment", money["id"], "", "booked", "")]
    return app.site, ledger, seen


def test_books_that_are_right_pass(books: Any) -> None:
    site, ledger, seen = books
    assert check(site, ledger, seen) == []


def test_whatever_is_wrong_is_told(books: Any) -> None:
    site, ledger, seen = books
    cases: dict[str, tuple[dict[str, Any], list[Seen]]] = {}
    twice = {"entries": [*ledger["entries"], copy.deepcopy(ledger["entries"][0])]}
    cases["is booked 2 times"] = (twice, seen)
    cases["should come to"] = ({"entries": ledger["entries"][1:]}, seen)
    cases["nobody sees it"] = (ledger, seen[:1])
    cases["still waits"] = (ledger, [seen[0]._replace(state="waiting"), seen[1]])
    cases["is booked and shown as"] = (ledger, [seen[0]._replace(state="held"), seen[1]])
    cent_off = copy.deepcopy(ledger)
    for place, by in ((0, 1), (2, -1)):
        cent_off["entries"][0]["lines"][place]["amount_fc_minor"] += by
    cases["account 1500 in EUR has -2101"] = (cent_off, seen)
    cases["belongs to no document"] = ({"entries": [*ledger["entries"], entry("70", "INV-999", LINES)]}, seen)
    unbalanced = copy.deepcopy(ledger)
    unbalanced["entries"][1]["lines"][0]["amount_minor"] += 1
    cases["does not balance"] = (unbalanced, seen)
    for told, (wrong_ledger, wrong_seen) in cases.items():
        found = check(site, wrong_ledger, wrong_seen)
        assert any(told in each for each in found), (told, found)


def test_a_payment_is_seen_beside_an_exchange_difference_in_one_entry(books: Any) -> None:
    site, ledger, seen = books
    number = seen[1].number
    difference = entry("90", None, [("4910", 5), ("1300", -5)], f"{number}/FX USD 0.9519 > 0.9528")
    shared = copy.deepcopy(ledger)
    shared["entries"][1]["lines"] = difference["lines"] + shared["entries"][1]["lines"]
    assert check(site, shared, seen) == []
    shared["entries"][1]["lines"] = difference["lines"]
    assert any(f"payment {number} should come to" in each for each in check(site, shared, seen))


def test_a_hold_passes_only_for_a_reason_that_the_document_deserves(books: Any) -> None:
    site, ledger, seen = books
    without = {"entries": ledger["entries"][1:]}
    held = [seen[0]._replace(state="held", code="no_vat_code"), seen[1]]

    def knows(source: Any, _at: int) -> frozenset[str]:
        return frozenset({"no_vat_code"}) if source["id"] == seen[0].number else frozenset()

    assert check(site, without, held, reasons=knows) == []
    assert any("which it does not deserve" in each for each in check(site, without, held))
    other = [held[0]._replace(code="period_closed"), seen[1]]
    assert any("which it does not deserve" in each for each in check(site, without, other, reasons=knows))


def test_a_reversal_that_is_held_leaves_the_books_as_they_were(books: Any) -> None:
    site, _, _ = books
    invoice = bill_again(site)
    site.clock.skip(40 * 86_400)
    void_invoice(site, invoice["id"])
    ledger = {"entries": [entry("70", invoice["id"], LINES)]}
    number = invoice["id"]
    seen = [Seen("invoice", number, "", "booked", ""), Seen("invoice", number, "R", "held", "period_closed")]

    def knows(_source: Any, at: int) -> frozenset[str]:
        return frozenset({"period_closed"} if at == invoice["voided_at"] else ())

    def told(ledger: dict[str, Any], seen: list[Seen]) -> list[str]:
        return [each for each in check(site, ledger, seen, reasons=knows) if number in each]

    assert told(ledger, seen) == []
    assert any("should come to" in each for each in told({"entries": []}, seen))
    assert any("should come to {}" in each for each in told(ledger, seen[:1]))
    held = [seen[0]._replace(state="held", code="period_closed")]
    assert any("which it does not deserve" in each for each in told({"entries": []}, held))


def test_what_was_never_received_must_not_be_recorded(books: Any) -> None:
    site, ledger, seen = books
    invoice = bill_again(site)
    _, money = pay_invoice(site, invoice["id"], Money("bank_transfer", 12_100, site.clock.now(), "line 1"))
    ledger["entries"].append(entry("70", invoice["id"], LINES))
    seen += [Seen("invoice", invoice["id"], "", "booked", ""), Seen("payment", money["id"], "", "set_aside", "offline")]
    assert check(site, ledger, seen, {"cust-1": 12_100}) == []
    assert "is recorded as paid by bank" in check(site, ledger, seen, {"cust-1": 12_099})[0]


def bill_again(site: Any) -> Any:
    """Another invoice on the same customer."""

    class App:
        pass

    app = App()
    app.site = site  # type: ignore[attr-defined]  # all that is used of it
    return bill(app)  # type: ignore[arg-type]  # the same
