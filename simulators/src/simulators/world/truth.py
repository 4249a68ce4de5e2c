"""What a bookkeeper should find in Exact at the end, told from Chargebee's side alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from simulators.chargebee.site import Resource, Site

from .actions import Ledger

Kind = Literal["invoice", "credit_note", "payment", "refund"]
Expected = Literal["book", "hold", "set_aside"]


@dataclass(frozen=True)
class Document:
    """One document of Chargebee and what should become of it; amounts in minor units of its own currency."""

    kind: Kind
    number: str
    customer_id: str
    currency: str
    date: str
    status: str
    total_minor: int
    tax_minor: int
    round_off_minor: int
    amount_due_minor: int
    online: bool
    expected: Expected
    why: str


def documents(site: Site, ledger: Ledger) -> list[Document]:
    """All documents of the site, by kind and age, with what should become of each."""
    return [*_invoices(site, ledger), *_credit_notes(site, ledger), *_money(site)]


def _invoices(site: Site, ledger: Ledger) -> Iterator[Document]:
    for invoice in site.all("invoice"):
        expected: Expected = "book"
        if invoice["id"] in ledger.unmapped:
            expected = "hold"
        elif invoice["status"] == "pending":
            expected = "set_aside"
        online = site.get("customer", invoice["customer_id"])["auto_collection"] == "on"
        why = ledger.why.get(invoice["id"], "")
        yield _document(site, "invoice", invoice, online=online, expected=expected, why=why)


def _credit_notes(site: Site, ledger: Ledger) -> Iterator[Document]:
    for note in site.all("credit_note"):
        online = site.get("customer", note["customer_id"])["auto_collection"] == "on"
        yield _document(site, "credit_note", note, online=online, expected="book", why=ledger.why.get(note["id"], ""))


def _document(site: Site, kind: Kind, source: Resource, *, online: bool, expected: Expected, why: str) -> Document:
    return Document(
        kind=kind,
        number=source["id"],
        customer_id=source["customer_id"],
        currency=source["currency_code"],
        date=site.local_date(source["date"]).isoformat(),
        status=source["status"],
        total_minor=source["total"],
        tax_minor=source["tax"],
        round_off_minor=source["round_off_amount"],
        amount_due_minor=int(source["amount_due"] if kind == "invoice" else source["amount_available"]),
        online=online,
        expected=expected,
        why=why,
    )


def _money(site: Site) -> Iterator[Document]:
    for transaction in site.all("transaction"):
        offline = transaction["gateway"] == "not_applicable"
        expected: Expected = "book"
        why = ""
        if transaction["status"] != "success":
            expected, why = "set_aside", "declined: no money moved"
        elif offline:
            expected, why = "set_aside", "the receipt stands in Exact's bank book already"
        yield Document(
            kind="refund" if transaction["type"] == "refund" else "payment",
            number=transaction["id"],
            customer_id=transaction["customer_id"],
            currency=transaction["currency_code"],
            date=site.local_date(transaction["date"]).isoformat(),
            status=transaction["status"],
            total_minor=transaction["amount"],
            tax_minor=0,
            round_off_minor=0,
            amount_due_minor=0,
            online=not offline,
            expected=expected,
            why=why,
        )
