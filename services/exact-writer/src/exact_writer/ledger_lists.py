"""The list of the documents that one entry of mode ledger books, as a file that a spreadsheet of a Dutch office opens."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from contracts.commands import PostEntry
from exact_writer import payloads

_HEADING = ("reference", "kind", "date", "customer", "currency", "total", "description")


def content_of(commands: Iterable[PostEntry]) -> bytes:
    """Return CSV with a line for each document: semicolons, decimal commas, and the mark by which Excel knows UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";")
    writer.writerow(_HEADING)
    for command in commands:
        ref = command.document
        total = str(payloads.amount(ref.total_minor, ref.decimals)).replace(".", ",")
        day = ref.document_date.isoformat() if ref.document_date is not None else ""
        row = (command.your_ref, ref.kind, day, ref.customer_id, ref.currency, total, command.description)
        writer.writerow([_harmless(value) for value in row])
    return text.getvalue().encode("utf-8-sig")


def _harmless(value: str) -> str:
    """Keep a customer's text from being taken for a formula; a negative amount is no text."""
    is_number = value[1:].replace(",", "").isdigit()
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") and not is_number else value
