"""The seeded business month: the same for the same seed, complete in its cases, and right to the cent."""

import copy
import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from simulators.chargebee.app import create_app
from simulators.chargebee.invoices import run_scheduled_jobs
from simulators.chargebee.settings import ChargebeeSettings
from simulators.chargebee.site import Site
from simulators.world.actions import Ledger, perform
from simulators.world.comparison import compare
from simulators.world.month import make_month, set_up_catalogue
from simulators.world.plan import Plan
from simulators.world.products import UNMAPPED_ITEM_PRICE
from simulators.world.truth import documents


def _played(seed: int, count: int = 300) -> tuple[Plan, Site, Ledger]:
    """A site on which a whole month has happened, without its bank payments, and what is known of its documents."""
    plan = make_month(seed, count)
    opened = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp())
    site = create_app(ChargebeeSettings(started_at=opened, seed=seed)).site
    set_up_catalogue(site)
    ledger = Ledger()
    for step in plan.in_order():
        site.clock.advance_to(step.at)
        run_scheduled_jobs(site)
        perform(site, step.action, ledger)
    return plan, site, ledger


@pytest.fixture(scope="module")
def month():
    return _played(42)


def test_the_same_seed_gives_the_same_month_byte_for_byte(month):
    again = _played(42)
    assert json.dumps(again[1].events) == json.dumps(month[1].events)
    assert again[2].receipts == month[2].receipts
    other = _played(43)
    assert json.dumps(other[1].events) != json.dumps(month[1].events)


@pytest.mark.parametrize(("seed", "count"), [(1, 300), (7, 300), (42, 520)])
def test_any_seed_makes_at_least_the_documents_asked_for(seed, count):
    plan, site, ledger = _played(seed, count)
    assert len(documents(site, ledger)) == plan.documents >= count


def test_the_month_has_customers_everywhere_and_half_of_them_pay_online(month):
    _, site, ledger = month
    countries = {customer["billing_address"]["country"] for customer in site.all("customer")}
    assert countries == {"NL", "DE", "FR", "US"}
    invoices = [document for document in documents(site, ledger) if document.kind == "invoice"]
    online = sum(document.online for document in invoices)
    assert 0.35 < online / len(invoices) < 0.65
    assert len(ledger.receipts) > 40
    assert {invoice["currency_code"] for invoice in site.all("invoice")} == {"EUR", "USD"}


def test_one_product_is_unmapped_one_invoice_stays_pending_and_one_lies_in_the_closed_period(month):
    _, site, ledger = month
    assert len(ledger.unmapped) == 1
    (held,) = ledger.unmapped
    assert UNMAPPED_ITEM_PRICE in [line.get("entity_id") for line in site.get("invoice", held)["line_items"]]
    sold = [line.get("entity_id") for invoice in site.all("invoice") for line in invoice["line_items"]]
    assert sold.count(UNMAPPED_ITEM_PRICE) == 1
    assert [invoice["status"] for invoice in site.all("invoice")].count("pending") == 1
    early = [i for i in site.all("invoice") if site.local_date(i["date"]) < date(2026, 10, 1)]
    assert len(early) == 1
    dated = [event for event in site.events if event["event_type"] == "invoice_generated_with_backdating"]
    assert [event["content"]["invoice"]["id"] for event in dated] == [early[0]["id"]]


def test_some_documents_have_another_day_in_utc(month):
    _, site, _ = month
    moved = [
        invoice["id"]
        for invoice in site.all("invoice")
        if datetime.fromtimestamp(invoice["date"], UTC).date() != site.local_date(invoice["date"])
    ]
    assert len(moved) >= 2


def test_the_month_has_every_kind_of_tax_discount_and_rounding(month):
    _, site, _ = month
    invoices = site.all("invoice")
    lines = [line for invoice in invoices for line in invoice["line_items"]]
    assert {line.get("tax_rate") for line in lines} == {21.0, 9.0, 19.0, 20.0, None}
    assert {line.get("tax_exempt_reason") for line in lines} == {None, "reverse_charge", "export"}
    kinds = {each["discount_type"] for invoice in invoices for each in invoice.get("line_item_discounts", ())}
    assert kinds == {"document_level_coupon", "item_level_coupon"}
    assert any(line["amount"] < 0 for line in lines)
    assert {(invoice["round_off_amount"] > 0) - (invoice["round_off_amount"] < 0) for invoice in invoices} == {-1, 0, 1}
    assert {note["type"] for note in site.all("credit_note")} == {"adjustment", "refundable"}
    recomputed_wrongly = [
        row
        for invoice in invoices
        if invoice["price_type"] == "tax_inclusive"
        for row in invoice.get("line_item_taxes", ())
        if round(row["taxable_amount"] * row["tax_rate"] / 100) != row["tax_amount"]
    ]
    assert recomputed_wrongly  # a connector that recomputes VAT is a cent off here


def test_every_document_adds_up(month):
    _, site, _ = month
    for document in [*site.all("invoice"), *site.all("credit_note")]:
        nets = sum(line["amount"] - line["discount_amount"] for line in document["line_items"])
        tax = sum(line["tax_amount"] for line in document["line_items"])
        rows = sum(row["tax_amount"] for row in document.get("line_item_taxes", ()))
        added = tax if document["price_type"] == "tax_exclusive" else 0
        assert document["sub_total"] == nets
        assert document["tax"] == tax == rows == sum(each["amount"] for each in document.get("taxes", ()))
        assert document["total"] == nets + added + document["round_off_amount"] > 0
    for invoice in site.all("invoice"):
        credits_used = sum(each["applied_amount"] for each in invoice["applied_credits"])
        settled = invoice["amount_paid"] + invoice["amount_adjusted"] + credits_used
        assert invoice["amount_due"] == invoice["total"] - settled >= 0
        assert (invoice["status"] == "paid") == (invoice["amount_due"] == 0)


def test_a_bank_customer_has_no_two_invoices_of_the_same_amount(month):
    _, site, ledger = month
    amounts: dict[tuple[str, int], int] = {}
    for receipt in ledger.receipts:
        invoice = site.get("invoice", receipt.invoice_number)
        assert receipt.amount_minor == invoice["total"]  # Exact matches equal amounts only
        key = (invoice["customer_id"], receipt.amount_minor)
        amounts[key] = amounts.get(key, 0) + 1
    assert set(amounts.values()) == {1}


def _perfect_ledger(site: Site, ledger: Ledger) -> dict[str, Any]:
    """What Exact shows when everything was booked as it should be."""
    entries: list[dict[str, Any]] = []
    for each in documents(site, ledger):
        if each.expected != "book":
            continue
        sign = 1 if each.kind in ("invoice", "refund") else -1
        debtor = _line("1300", sign * each.total_minor, f"betaling {each.number}")
        if each.kind in ("payment", "refund"):
            entries.append({"journal": "90", "your_ref": None, "lines": [debtor, _line("1290", -sign * each.total_minor)]})
            continue
        net = each.total_minor - each.tax_minor - each.round_off_minor
        lines = [debtor, _line("8000", -sign * net), _line("1500", -sign * each.tax_minor)]
        lines.append(_line("4900", -sign * each.round_off_minor))
        entries.append({"journal": "70", "your_ref": each.number, "lines": lines})
    return {"entries": entries, "receivables": []}


def _line(account: str, amount_minor: int, description: str | None = None) -> dict[str, Any]:
    return {"gl_account": account, "amount_fc_minor": amount_minor, "description": description}


def test_the_comparison_finds_nothing_in_right_books_and_everything_in_wrong_ones(month):
    _, site, ledger = month
    truth = documents(site, ledger)
    right = _perfect_ledger(site, ledger)
    result = compare(truth, site, right)
    assert (result["missing"], result["doubled"], result["differences"], result["unexpected"]) == ([], [], [], [])
    assert result["unexplained_cents"] == 0
    assert result["found"] == sum(document.expected == "book" for document in truth)

    wrong = copy.deepcopy(right)
    lost = wrong["entries"].pop(0)
    wrong["entries"].append(wrong["entries"][5])
    wrong["entries"][1]["lines"][0]["amount_fc_minor"] += 1
    (held,) = ledger.unmapped
    wrong["entries"].append({"journal": "70", "your_ref": held, "lines": [_line("1300", 500)]})
    wrong["entries"].append({"journal": "70", "your_ref": "INV-999999", "lines": [_line("1300", 70)]})
    result = compare(truth, site, wrong)
    assert [row["number"] for row in result["missing"]] == [lost["your_ref"]]
    assert [row["number"] for row in result["doubled"]] == [wrong["entries"][5]["your_ref"]]
    assert [(row["number"], row["field"]) for row in result["differences"]] == [(wrong["entries"][1]["your_ref"], "debtor")]
    assert {row["number"] for row in result["unexpected"]} == {held, "INV-999999"}
    assert result["unexplained_cents"] == 1 + 500 + 70


def test_the_comparison_knows_which_bank_payments_one_side_has_not_seen(month):
    _, site, ledger = month
    unpaid = next(receipt.invoice_number for receipt in ledger.receipts)
    term = {"journal": "70", "your_ref": unpaid, "matched": True, "amount_minor": 100, "open_minor": 0}
    books = {**_perfect_ledger(site, ledger), "receivables": [term]}
    assert compare(documents(site, ledger), site, books)["unsettled_receipts"] == [unpaid]
