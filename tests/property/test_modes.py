"""The three ways to book give the same books: equal balances in every period and equal open items, whatever the months hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.golden import chart, mapping_with

from bookkeeping.documents import CreditNote, DocumentLine, Invoice, LineTax, Payment, Settlement
from bookkeeping.entries import make_entry
from bookkeeping.journal import Entry
from contracts.commands import PostEntry
from contracts.facts import DocumentRef
from exact_writer import batches, payloads
from exact_writer.document_post import keeps_cents
from mapper.issue import post_entry, with_reference
from simulators.exact import ledger_view, resources
from simulators.exact.app import create_app
from simulators.exact.model import ENDPOINTS
from simulators.exact.settings import ExactSettings
from simulators.exact.wire import bind, decode
from simulators.exact.world import Division

CUSTOMERS = ("CUST1", "CUST2")
PRODUCTS = {Decimal(9): "book-EUR", Decimal(21): "team-EUR", Decimal(0): "team-EUR"}
DRAFTS, FINAL, ITEMS = "salesinvoice/SalesInvoices", "salesinvoice/PrintedSalesInvoices", "logistics/Items"
SALES, GENERAL = "salesentry/SalesEntries", "generaljournalentry/GeneralJournalEntries"


@dataclass(frozen=True)
class Sold:
    """What one document of a month is made of."""

    customer: str
    day: date
    is_credit: bool
    lines: tuple[tuple[Decimal, int, bool], ...]  # rate, amount, spread over a year
    currency_rate: Decimal | None
    round_off: int
    is_paid: bool


SOLD = st.builds(
    Sold,
    customer=st.sampled_from(CUSTOMERS),
    day=st.dates(min_value=date(2026, 1, 1), max_value=date(2026, 3, 31)),
    is_credit=st.booleans(),
    lines=st.lists(
        st.tuples(
            st.sampled_from([Decimal(0), Decimal(9), Decimal(21)]), st.integers(min_value=-9_999, max_value=99_999), st.booleans()
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    currency_rate=st.sampled_from([None, None, Decimal("0.91"), Decimal("0.8537")]),
    round_off=st.integers(min_value=-3, max_value=3),
    is_paid=st.booleans(),
)


def document_of(number: str, sold: Sold) -> Invoice | CreditNote:
    """The document with its tax rounded on each line."""
    lines = []
    for rate, amount, is_yearly in sold.lines:
        tax = int((amount * rate / 100).quantize(Decimal(1), ROUND_HALF_UP))
        taxes = (LineTax(rate=rate, amount_minor=tax, taxable_minor=amount, country="NL"),) if rate else ()
        product = "team-yearly-EUR" if is_yearly and rate == 21 else PRODUCTS[rate]
        lines.append(
            DocumentLine(
                description=product,
                entity_type="plan_item_price",
                product_id=product,
                amount_minor=amount,
                taxes=taxes,
                exempt_reason=None if rate else "product_exempt",
                service_from=sold.day,
                service_to=sold.day + timedelta(days=364),
            )
        )
    tax = sum(each.amount_minor for line in lines for each in line.taxes)
    made: type[Invoice | CreditNote] = CreditNote if sold.is_credit else Invoice
    return made(
        number=number,
        customer_id=sold.customer,
        document_date=sold.day,
        currency="USD" if sold.currency_rate else "EUR",
        base_currency="EUR",
        exchange_rate=sold.currency_rate,
        total_minor=sum(line.amount_minor for line in lines) + tax + sold.round_off,
        tax_minor=tax,
        lines=tuple(lines),
        round_off_minor=sold.round_off,
        customer_country="NL",
    )


def commands_of(month: list[Sold], mode: Any) -> list[PostEntry]:
    """What the mapper would ask for in a mode: the sales, then the payments of those that were paid."""
    journals = "journals: {invoices: 70, credit_notes: 71, payments: 90, write_offs: 95, settlements: 91, ledger: 91}"
    mapping = replace(mapping_with(journals), mode=mode)
    found: list[PostEntry] = []
    payments: list[PostEntry] = []
    for place, sold in enumerate(month):
        document = document_of(f"INV-{place}", sold)
        entry = make_entry(document, mapping, chart().products)
        if not isinstance(entry, Entry):
            continue
        kind: Any = "credit_note" if sold.is_credit else "invoice"
        found.append(_command(entry, sold, kind, document.number, mapping))
        if sold.is_paid and not sold.is_credit and document.total_minor > 0:
            paid = Payment(
                number=f"TX-{place}",
                customer_id=sold.customer,
                document_date=sold.day,
                currency=document.currency,
                base_currency="EUR",
                exchange_rate=sold.currency_rate,
                amount_minor=document.total_minor,
                gateway_account="gw_stripe",
                settlements=(
                    Settlement(number=document.number, amount_minor=document.total_minor, exchange_rate=sold.currency_rate),
                ),
            )
            made = make_entry(paid, mapping, chart().products)
            assert isinstance(made, Entry)
            payments.append(_command(made, sold, "payment", paid.number, mapping))
    return found + payments


def _command(entry: Entry, sold: Sold, kind: Any, number: str, mapping: Any) -> PostEntry:
    ref = DocumentRef(
        site="acme",
        kind=kind,
        number=number,
        customer_id=sold.customer,
        currency=entry.currency,
        total_minor=entry.receivable_minor,
    )
    return post_entry(with_reference(entry, number) if entry.kind == "general" else entry, ref, mapping, 0)


def books(commands: list[PostEntry], **switches: Any) -> dict[str, Any]:
    """Post the commands as the writer would, and read the ledger."""
    world = create_app(ExactSettings(**switches)).state.simulator.world
    division: Division = world.divisions[100002]
    accounts = {name: str(_create(division, "crm/Accounts", {"Name": name, "Status": "C"})["ID"]) for name in CUSTOMERS}
    ledgers = {row["Code"]: str(row["ID"]) for row in division.table("financial/GLAccounts")}
    percentages = {
        row["Code"].strip(): row["Percentage"] if row["Type"] == "E" else Decimal(0) for row in division.table("vat/VATCodes")
    }
    together: dict[str, list[tuple[PostEntry, str]]] = defaultdict(list)
    for command in commands:
        account = accounts[command.document.customer_id]
        if command.mode == "ledger":
            together[batches.key_of(command)].append((command, account))
        elif command.mode == "document" and keeps_cents(command, percentages.get):
            items = {
                line.item_code: _item_of(division, line.item_code, line.gl_account, ledgers)
                for line in command.lines
                if line.item_code
            }
            draft = _create(division, DRAFTS, payloads.sales_invoice(command, account, items, ledgers))
            _create(division, FINAL, payloads.printed_invoice(command, str(draft["InvoiceID"])))
        elif command.kind == "sales":
            _create(division, SALES, payloads.sales_entry(command, account, ledgers, "EUR"))
        else:
            _create(division, GENERAL, payloads.general_entry(command, account, ledgers, "EUR"))
    for members in together.values():
        _create(division, GENERAL, payloads.ledger_entry(members, ledgers, "EUR", (None, None)))
    return ledger_view.ledger(division)


def _item_of(division: Division, code: str, gl_account: str, ledgers: dict[str, str]) -> str:
    known = division.by_code(ITEMS, code)
    return str((known or _create(division, ITEMS, payloads.item(code, gl_account, ledgers)))["ID"])


def _create(division: Division, endpoint: str, body: dict[str, Any]) -> dict[str, Any]:
    return dict(resources.CREATE[endpoint](division, bind(ENDPOINTS[endpoint], decode(payloads.encode(body)), "p")))


def what_counts(ledger: dict[str, Any]) -> tuple[Any, ...]:
    """Balances by period without zeros, each customer's items, and what each customer still owes."""
    balances = {
        period: {code: amount for code, amount in codes.items() if amount}
        for period, codes in ledger["balances_by_period_minor"].items()
    }
    items = Counter((row["account"], row["amount_minor"]) for row in ledger["receivables"])
    owed: Counter[str] = Counter()
    for row in ledger["receivables"]:
        owed[row["account"]] += row["open_minor"]
    return {period: codes for period, codes in balances.items() if codes}, items, owed


@settings(max_examples=25, deadline=None)
@given(st.lists(SOLD, min_size=1, max_size=8))
def test_mode_ledger_gives_the_balances_and_the_open_items_of_mode_entry(month: list[Sold]) -> None:
    by_entry, by_ledger = commands_of(month, "entry"), commands_of(month, "ledger")
    assert what_counts(books(by_ledger)) == what_counts(books(by_entry))
    assert len(by_ledger) == len(by_entry)


@settings(max_examples=25, deadline=None)
@given(st.lists(SOLD, min_size=1, max_size=8), st.sampled_from(["given", "computed"]), st.sampled_from(["given", "item"]))
def test_mode_document_gives_the_books_of_mode_entry_whatever_exact_takes(month: list[Sold], vat: Any, account: Any) -> None:
    by_document = books(commands_of(month, "document"), invoice_vat=vat, invoice_gl_account=account)
    assert what_counts(by_document) == what_counts(books(commands_of(month, "entry")))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(SOLD, min_size=1, max_size=6), st.sampled_from(["entry", "ledger"]), st.sampled_from(["0.91", "0.8537", "1.0719"])
)
def test_a_paid_invoice_in_another_currency_leaves_nothing_open(month: list[Sold], mode: Any, rate: str) -> None:
    """Its payment is of the same cents in the division's currency, too, so that Exact matches the two by itself."""
    paid = [replace(each, is_credit=False, is_paid=True, currency_rate=Decimal(rate)) for each in month]
    owed = [each for place, each in enumerate(paid) if document_of(f"INV-{place}", each).total_minor > 0]
    # Exact looks for equal euros: invoices of other dollars that are worth the same euros may be paid by each other's payments.
    totals = {(each.customer, document_of("", each).total_minor) for each in owed}
    worth = {(customer, int((total * Decimal(rate)).quantize(Decimal(1), ROUND_HALF_UP))) for customer, total in totals}
    assume(len(worth) == len(totals))
    ledger = books(commands_of(owed, mode))
    assert [(row["your_ref"], row["open_minor"]) for row in ledger["receivables"] if row["open_minor"]] == []
    assert ledger["balances_minor"].get("1300", 0) == 0


def test_documents_of_one_month_go_into_one_entry() -> None:
    month = [
        Sold(CUSTOMERS[place % 2], date(2026, 1, 1 + place), False, ((Decimal(21), 10_000, False),), None, 0, False)
        for place in range(6)
    ]
    assert len(books(commands_of(month, "ledger"))["entries"]) == 1
    assert len(books(commands_of(month, "entry"))["entries"]) == 6
