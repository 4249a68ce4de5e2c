"""The coupon sets of the codes that discounts were given by, for rules that ask for them, as Chargebee told them."""

from __future__ import annotations

from msgspec.structs import replace

from bookkeeping.documents import CouponUse, CreditNote, Document, DocumentLine, Invoice, LineDiscount, VatReclaim
from bookkeeping.rejections import Rejection, SetAside
from contracts.coupon_codes import CouponCode
from mapper.store import Store

KIND = "coupon_code"


async def with_coupon_sets(store: Store, site: str, document: Document | Rejection | SetAside) -> Document | Rejection | SetAside:
    """Add to each discount the coupon set of its code, as far as Chargebee has told it."""
    if isinstance(document, VatReclaim):
        note = await with_coupon_sets(store, site, document.note)
        return replace(document, note=note) if isinstance(note, CreditNote) else document
    if not isinstance(document, Invoice | CreditNote):
        return document
    given = (use.code for line in document.lines for each in line.discounts for use in each.uses or ())
    codes = {code for code in given if code}
    if not codes:
        return document
    told = {code: await store.resource(site, KIND, code, CouponCode) for code in sorted(codes)}
    known = {
        code: CouponUse(code=code, coupon_set=each.coupon_set_id, is_asked=True)
        for code, each in told.items()
        if each is not None
    }
    return replace(document, lines=tuple(_of_line(line, known) for line in document.lines))


def _of_line(line: DocumentLine, known: dict[str, CouponUse]) -> DocumentLine:
    if not line.discounts:
        return line
    return replace(line, discounts=tuple(_of_discount(each, known) for each in line.discounts))


def _of_discount(discount: LineDiscount, known: dict[str, CouponUse]) -> LineDiscount:
    if not discount.uses:
        return discount
    return replace(discount, uses=tuple(known.get(use.code, use) for use in discount.uses))
