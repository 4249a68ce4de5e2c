"""Parcels: answers and hints on their way to a division's writer, past the logs.

A PDF can be had again by asking again, and what a hint points at is seen by the next poll without it.
"""

from __future__ import annotations

from typing import ClassVar

from contracts.envelope import Message

MOST_KEYS = 100

LARGEST_PDF_BYTES = 7_000_000  # about 9.4 MB in base64: below what Exact takes (10 MB) and far below what the broker takes


class PdfFetched(Message, frozen=True, kw_only=True):
    """The answer to PdfWanted: the PDF as Chargebee made it, or without `content` the code and the sentence why there is none."""

    TYPE: ClassVar[str] = "chargebee.pdf.fetched"
    division: int
    request_id: str
    content: bytes | None = None
    code: str = ""
    message: str = ""
    message_nl: str = ""


class ChangeHinted(Message, frozen=True, kw_only=True):
    """Exact said by signed webhooks that things of one topic changed in a division; what changed, only reading it tells.

    `topic` is Exact's word (`BankEntries`), `keys` are the changed things by their GUIDs, empty when there were more than
    MOST_KEYS. `has_deleted`: one of them was deleted. `heard_at` is when the newest webhook came (unix seconds, ingest's clock).
    """

    TYPE: ClassVar[str] = "exact.change.hinted"
    division: int
    topic: str
    heard_at: float
    keys: tuple[str, ...] = ()
    has_deleted: bool = False
