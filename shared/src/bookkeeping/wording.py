"""A document in words: the values that the templates of a division are filled in with, and only those that they ask for."""

from __future__ import annotations

from collections.abc import Callable

from bookkeeping.documents import CreditNote, DocumentLine, Invoice
from bookkeeping.texts import Texts

OF_SUBSCRIPTION = "subscription."


def _kind(document: Invoice | CreditNote, texts: Texts) -> str:
    return texts.word("credit_note" if isinstance(document, CreditNote) else "invoice")


def _credited(document: Invoice | CreditNote, _: Texts) -> str:
    return (document.reference_invoice or "") if isinstance(document, CreditNote) else ""


def _period(document: Invoice | CreditNote, texts: Texts) -> str:
    served = [(line.service_from, line.service_to) for line in document.lines]
    firsts = [first for first, last in served if first is not None and last is not None]
    lasts = [last for first, last in served if first is not None and last is not None]
    return texts.period(min(firsts, default=None), max(lasts, default=None))


_OF_DOCUMENTS: dict[str, Callable[[Invoice | CreditNote, Texts], str]] = {
    "kind": _kind,
    "number": lambda document, _: document.number,
    "invoice": _credited,
    "customer": lambda document, _: document.customer_name,
    "customer_id": lambda document, _: document.customer_id,
    "po_number": lambda document, _: document.po_number or "",
    "currency": lambda document, _: document.currency,
    "date": lambda document, texts: texts.day(document.document_date),
    "period": _period,
}
_OF_LINES: dict[str, Callable[[DocumentLine, Texts], str]] = {
    "line": lambda line, _: line.description,
    "product": lambda line, _: line.product_id or "",
    "subscription": lambda line, _: line.subscription_id or "",
    "period": lambda line, texts: texts.period(line.service_from, line.service_to),
}


def words_of_document(document: Invoice | CreditNote, texts: Texts) -> dict[str, str]:
    """Return the values of the placeholders that the division asks for; one that a document has no value for is empty."""
    words = {name: _OF_DOCUMENTS[name](document, texts) for name in texts.asked}
    if texts.custom_fields:
        words |= document.custom_fields
    if texts.subscription_fields:
        words |= {name: ", ".join(_of_subscriptions(document, name)) for name in texts.subscription_fields}
    return words


def _of_subscriptions(document: Invoice | CreditNote, name: str) -> list[str]:
    """Return the values that the subscriptions of a document have for a placeholder, each once, in the order of the lines."""
    found = (_of_subscription(line, name) for line in document.lines)
    return list(dict.fromkeys(value for value in found if value))


def _of_subscription(line: DocumentLine, name: str) -> str:
    return (line.subscription_fields or {}).get(name.removeprefix(OF_SUBSCRIPTION), "")


def empty_fields(document: Invoice | CreditNote, texts: Texts) -> list[str]:
    """Return the custom fields that a division's texts ask for and a document has no value for.

    Chargebee leaves empty fields out, so a field that was renamed there looks like one that is empty.
    """
    if not texts.custom_fields and not texts.subscription_fields:
        return []
    of_subscriptions = {name for name in texts.subscription_fields if not _of_subscriptions(document, name)}
    return sorted((texts.custom_fields - document.custom_fields.keys()) | of_subscriptions)


def texts_of_line(line: DocumentLine, document: dict[str, str], texts: Texts) -> tuple[str, str]:
    """Return a line's description and its notes, from the document's values and its own."""
    if texts.line is None and texts.notes is None:
        return texts.own_description(line.description), ""
    words = {**document, **{name: made(line, texts) for name, made in _OF_LINES.items() if name in texts.asked_of_lines}}
    words |= {name: _of_subscription(line, name) for name in texts.subscription_fields}
    words["line"] = line.description
    return texts.line_description(words), texts.line_notes(words)
