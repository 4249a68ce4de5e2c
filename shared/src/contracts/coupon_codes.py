"""Which coupon set a code belongs to, as Chargebee answers when ingest asks: its own events do not name the codes."""

from __future__ import annotations

from typing import ClassVar

from contracts.chargebee import Wire
from contracts.facts import Observed


class CouponCode(Wire, frozen=True, kw_only=True):
    """A code of a coupon set; `id` is the code. Without a set, Chargebee has no such code any more."""

    id: str
    coupon_id: str | None = None
    coupon_set_id: str | None = None
    coupon_set_name: str | None = None


class CouponCodeObserved(Observed, frozen=True, kw_only=True):
    """Chargebee was asked about a code that a document names, and answered."""

    TYPE: ClassVar[str] = "chargebee.coupon_code.observed"
    resource: CouponCode
