"""The independent comparison of both books: Chargebee's documents against the ledger that Exact shows."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from simulators.chargebee.site import Site

from .truth import Document

DEBTORS = "1300"
VAT_ACCOUNTS = ("1500", "1501", "1510", "1511")
ROUNDING = "4900"
SALES_JOURNALS = ("70", "71")
SHARED_JOURNAL = "91"  # a general journal, whose entries may hold the lines of many documents
_SALES_KINDS = ("invoice", "credit_note")
Line = dict[str, Any]


def compare(documents: Sequence[Document], site: Site, ledger: dict[str, Any]) -> dict[str, Any]:
    """Look for every document in the ledger, once and to the cent, and for entries that belong to no document.

    Amounts are compared in the document's own currency. Sales entries are found by YourRef, and the lines of a document in an
    entry of many by the word that their description begins with; payments and refunds by the transaction id in the
    description of a line on the debtors' account. `unexplained_cents` adds up all
    differences and everything that was booked but should not have been.
    """
    sales = _sales_by_reference(ledger)
    receivable_lines = _debtor_lines(ledger)
    found: list[Document] = []
    missing: list[dict[str, Any]] = []
    doubled: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    unexpected: list[dict[str, Any]] = []
    for document in documents:
        hits = sales.get(document.number, []) if document.kind in _SALES_KINDS else receivable_lines[document.number]
        name = {"kind": document.kind, "number": document.number}
        if document.expected != "book":
            unexpected += [{**name, "amount_minor": _on_debtors(hit)} for hit in hits]
            continue
        if not hits:
            missing.append({**name, "why": document.why})
            continue
        found.append(document)
        if len(hits) > 1:
            doubled.append({**name, "times": len(hits)})
        differences += [{**name, **difference} for difference in _differences(document, hits[0])]
    known = {document.number for document in documents if document.kind in _SALES_KINDS}
    for reference, entries in sales.items():
        if reference not in known:
            unexpected += [{"kind": "entry", "number": reference, "amount_minor": _on_debtors(each)} for each in entries]
    receipts = _receipts(site, ledger)
    doubled += receipts.pop("doubled")
    differences += receipts.pop("differences")
    return {
        "documents": len(documents),
        "found": len(found),
        "missing": missing,
        "doubled": doubled,
        "unexpected": unexpected,
        "differences": differences,
        "totals": _totals(documents, sales, receivable_lines),
        "shared_entries": sum(entry["journal"].strip() == SHARED_JOURNAL for entry in ledger["entries"]),
        "unexplained_cents": sum(abs(each["chargebee_minor"] - each["exact_minor"]) for each in differences)
        + sum(abs(each["amount_minor"]) for each in unexpected),
        **receipts,
    }


def _sales_by_reference(ledger: dict[str, Any]) -> dict[str, list[list[Line]]]:
    entries: dict[str, list[list[Line]]] = defaultdict(list)
    for entry in ledger["entries"]:
        if entry["journal"].strip() in SALES_JOURNALS:
            entries[entry["your_ref"] or ""].append(entry["lines"])
        elif entry["journal"].strip() == SHARED_JOURNAL:
            shares: dict[str, list[Line]] = defaultdict(list)
            for line in entry["lines"]:
                shares[_first_word(line)].append(line)
            for reference, lines in shares.items():
                entries[reference].append(lines)
    return dict(entries)


def _first_word(row: dict[str, Any]) -> str:
    return next(iter((row["description"] or "").split()), "")


def _debtor_lines(ledger: dict[str, Any]) -> dict[str, list[list[Line]]]:
    """Lines on the debtors' account outside the sales journals, by each word of their description."""
    lines: dict[str, list[list[Line]]] = defaultdict(list)
    for entry in ledger["entries"]:
        if entry["journal"].strip() in (*SALES_JOURNALS, SHARED_JOURNAL):
            continue
        for line in entry["lines"]:
            if line["gl_account"] == DEBTORS:
                for word in set((line["description"] or "").replace(",", " ").split()):
                    lines[word].append([line])
    return lines


def _sum(lines: list[Line], accounts: Sequence[str]) -> int:
    return sum(line["amount_fc_minor"] for line in lines if line["gl_account"] in accounts)


def _on_debtors(lines: list[Line]) -> int:
    return _sum(lines, (DEBTORS,))


def _is_revenue(line: Line) -> bool:
    """Revenue, or revenue that is deferred to a later period."""
    return bool(line["gl_account"].startswith("8") or line["gl_account"] == "1650")


def _expected(document: Document) -> dict[str, int]:
    """Signed amounts by field, debit positive; a credit note and a payment are the other way round."""
    sign = 1 if document.kind in ("invoice", "refund") else -1
    amounts = {"debtor": sign * document.total_minor}
    if document.kind in _SALES_KINDS:
        amounts["tax"] = -sign * document.tax_minor
        amounts["rounding"] = -sign * document.round_off_minor
        amounts["revenue"] = -sign * (document.total_minor - document.tax_minor - document.round_off_minor)
    return amounts


def _actual(document: Document, lines: list[Line]) -> dict[str, int]:
    amounts = {"debtor": _on_debtors(lines)}
    if document.kind in _SALES_KINDS:
        amounts["tax"] = _sum(lines, VAT_ACCOUNTS)
        amounts["rounding"] = _sum(lines, (ROUNDING,))
        amounts["revenue"] = sum(line["amount_fc_minor"] for line in lines if _is_revenue(line))
    return amounts


def _differences(document: Document, lines: list[Line]) -> list[dict[str, Any]]:
    expected, actual = _expected(document), _actual(document, lines)
    return [
        {"field": field, "chargebee_minor": amount, "exact_minor": actual[field]}
        for field, amount in expected.items()
        if amount != actual[field]
    ]


def _totals(
    documents: Sequence[Document], sales: dict[str, list[list[Line]]], debtor_lines: dict[str, list[list[Line]]]
) -> dict[str, dict[str, dict[str, int]]]:
    """Per kind and field the sums of both books over what should be booked, currencies added up as numbers."""
    totals: dict[str, dict[str, dict[str, int]]] = {}
    for document in documents:
        if document.expected != "book":
            continue
        hits = sales.get(document.number, []) if document.kind in _SALES_KINDS else debtor_lines.get(document.number, [])
        for field, amount in _expected(document).items():
            row = totals.setdefault(document.kind, {}).setdefault(field, {"chargebee_minor": 0, "exact_minor": 0})
            row["chargebee_minor"] += amount
            row["exact_minor"] += sum(_actual(document, hit)[field] for hit in hits)
    return totals


def _receipts(site: Site, ledger: dict[str, Any]) -> dict[str, Any]:
    """Bank payments: what Exact matched against what Chargebee shows as paid."""
    matched = {row["your_ref"] or _first_word(row): row["matched"] for row in ledger["receivables"] if _is_invoice(row)}
    recorded = unsettled = 0
    waiting: list[str] = []
    doubled: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    offline = {each["id"] for each in site.all("transaction") if each["gateway"] == "not_applicable"}
    for invoice in site.all("invoice"):
        links = [
            link
            for link in invoice["linked_payments"]
            if link["txn_status"] == "success" and link["txn_id"] in offline and not invoice["deleted"]
        ]
        recorded += len(links)
        name = {"kind": "receipt", "number": invoice["id"]}
        if len(links) > 1:
            doubled.append({**name, "times": len(links)})
        paid = sum(link["applied_amount"] for link in links)
        if links and not matched.get(invoice["id"], False):
            differences.append({**name, "field": "paid by bank", "chargebee_minor": paid, "exact_minor": 0})
        if matched.get(invoice["id"], False) and invoice["amount_due"] > 0:
            unsettled += invoice["amount_due"]
            waiting.append(invoice["id"])
    return {
        "receipts_recorded": recorded,
        "unsettled_receipts": waiting,
        "unsettled_receipts_minor": unsettled,
        "doubled": doubled,
        "differences": differences,
    }


def _is_invoice(receivable: dict[str, Any]) -> bool:
    return bool(receivable["journal"].strip() in (*SALES_JOURNALS, SHARED_JOURNAL) and receivable["amount_minor"] > 0)
