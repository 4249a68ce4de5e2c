"""What of money and credits in another currency was applied to one document, as the mapper keeps it."""

from __future__ import annotations

from typing import Literal

from contracts.chargebee import Wire


class Applied(Wire, frozen=True, kw_only=True):
    """Money or credit in another currency that was applied to a document; Chargebee shows it only with the money or the note.

    `source` was applied to `target`: a payment or credit note to an invoice, a refund to a credit note. `before` is how much of
    the source was applied to others before.
    """

    id: str
    source_kind: Literal["payment", "refund", "credit_note"]
    source: str
    target_kind: Literal["invoice", "credit_note"]
    target: str
    amount: int = 0
    before: int = 0
    date: int | None = None
    customer_id: str | None = None
    currency_code: str | None = None
    base_currency_code: str | None = None
    business_entity_id: str | None = None
    updated_at: int | None = None
    deleted: bool = False
