"""Parcels: large answers on their way to a division's writer. They are in no log, since they can be had again by asking again."""

from __future__ import annotations

from typing import ClassVar

from contracts.envelope import Message

LARGEST_PDF_BYTES = 7_000_000  # about 9.4 MB in base64: below what Exact takes (10 MB) and far below what the broker takes


class PdfFetched(Message, frozen=True, kw_only=True):
    """The answer to PdfWanted: the PDF as Chargebee made it, or without `content` the code and the sentence why there is none."""

    TYPE: ClassVar[str] = "chargebee.pdf.fetched"
    division: int
    request_id: str
    content: bytes | None = None
    code: str = ""
    message: str = ""
