"""A document in words: the values that the templates of a division are filled in with."""

from __future__ import annotations

from bookkeeping.documents import CreditNote, DocumentLine, Invoice
from bookkeeping.texts import Texts


def words_of_document(document: Invoice | CreditNote, texts: Texts) -> dict[str, str]:
    """Return the values of an entry's placeholders; a placeholder that a document has no value for is empty."""
    served = [(line.service_from, line.service_to) for line in document.lines]
    firsts = [first for first, last in served if first is not None and last is not None]
    lasts = [last for first, last in served if first is not None and last is not None]
    is_credit = isinstance(document, CreditNote)
    return {
        **document.custom_fields,
        "kind": texts.word("credit_note" if is_credit else "invoice"),
        "number": document.number,
        "invoice": (document.reference_invoice or "") if isinstance(document, CreditNote) else "",
        "customer": document.customer_name,
        "customer_id": document.customer_id,
        "po_number": document.po_number or "",
        "currency": document.currency,
        "date": texts.day(document.document_date),
        "period": texts.period(min(firsts, default=None), max(lasts, default=None)),
    }


def words_of_line(line: DocumentLine, document: dict[str, str], texts: Texts) -> dict[str, str]:
    """Return the values of a line's placeholders: the document's and its own."""
    return {
        **document,
        "line": line.description,
        "product": line.product_id or "",
        "subscription": line.subscription_id or "",
        "period": texts.period(line.service_from, line.service_to),
    }
