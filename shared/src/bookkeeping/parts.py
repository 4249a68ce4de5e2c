"""The parts of a document's lines: one per line and rate of tax, with the document's own cents."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import msgspec
from msgspec.structs import replace

from bookkeeping.discounts import share_of_part
from bookkeeping.documents import CreditNote, DocumentLine, Invoice, LineDiscount
from bookkeeping.money import allocate, format_minor, half_up, settle_difference
from bookkeeping.rejections import Rejection, reject
from bookkeeping.vat import ZERO

PERCENT = 100


class Part(msgspec.Struct):
    """A line, or the part of it that one rate of tax falls on; amounts as the document has them (positive in a sale)."""

    line: DocumentLine
    net_minor: int
    tax_minor: int
    rate: Decimal
    country: str | None
    discounts: tuple[LineDiscount, ...] = ()
    moved_minor: int = 0  # by how much its tax differs from the line's own, to come to the document's


def label(document: Invoice | CreditNote) -> str:
    """Name a document in a sentence."""
    return f"{'invoice' if isinstance(document, Invoice) else 'credit note'} {document.number}"


def parts_of(document: Invoice | CreditNote, *, gross: bool) -> list[Part] | Rejection:
    """Cut the lines by rate, settle the document's VAT over them, and check that everything adds up to the total.

    Parts of zero are left out, unless there is a discount to show in them (`gross`).
    """
    parts: list[Part] = []
    for line in document.lines:
        of_line = _by_rate(line, inclusive=document.tax_inclusive)
        if gross and line.discounts:
            _share_discounts(of_line, inclusive=document.tax_inclusive)
        parts += of_line
    net, tax = _sums(parts)
    if tax != document.tax_minor:
        taxed = [part for part in parts if part.rate or part.tax_minor]
        for some, taxes in _settlements(taxed, document.tax_minor, inclusive=document.tax_inclusive):
            _move(some, taxes, inclusive=document.tax_inclusive)
        net, tax = _sums(parts)
    if tax != document.tax_minor or net + tax + document.round_off_minor != document.total_minor:
        amounts = {
            "lines": net,
            "tax": document.tax_minor,
            "rounding": document.round_off_minor,
            "sum": net + document.tax_minor + document.round_off_minor,
            "total": document.total_minor,
        }
        written = {name: format_minor(amount, document.currency) for name, amount in amounts.items()}
        return reject("amounts_do_not_add_up", document=label(document), **written)
    return [part for part in parts if part.net_minor or part.tax_minor or (gross and any(part.discounts))]


def _settled(parts: list[Part], tax_minor: int, *, inclusive: bool) -> list[int] | None:
    """Return the VAT of each part so that it adds up to an amount, None where that is no rounding any more."""
    ideals = [_ideal_tax(part, inclusive=inclusive) for part in parts]
    return settle_difference([part.tax_minor for part in parts], ideals, tax_minor)


def _settlements(parts: list[Part], tax_minor: int, *, inclusive: bool) -> list[tuple[list[Part], list[int]]]:
    """Return parts with the VAT that they get, so that it adds up to a document's; none where that is no rounding any more.

    Those of one rate go by themselves, where the document's VAT is that of the sum of each rate, rounded: so no cent of one
    rate's VAT is told under another's.
    """
    by_rate: dict[tuple[Decimal, str | None], list[Part]] = {}
    for part in parts:
        by_rate.setdefault((part.rate, part.country), []).append(part)
    groups = list(by_rate.values())
    wanted = [half_up(sum((_ideal_tax(part, inclusive=inclusive) for part in group), Fraction(0))) for group in groups]
    for some, amounts in ((groups, wanted), ([parts], [tax_minor])):
        settled = [_settled(group, amount, inclusive=inclusive) for group, amount in zip(some, amounts, strict=True)]
        if sum(amounts) == tax_minor and all(taxes is not None for taxes in settled):
            return [(group, taxes) for group, taxes in zip(some, settled, strict=True) if taxes is not None]
    return []


def _move(parts: list[Part], taxes: list[int], *, inclusive: bool) -> None:
    for part, tax in zip(parts, taxes, strict=True):
        if inclusive:
            part.net_minor += part.tax_minor - tax
        part.moved_minor = tax - part.tax_minor
        part.tax_minor = tax


def _sums(parts: list[Part]) -> tuple[int, int]:
    net = tax = 0
    for part in parts:
        net += part.net_minor
        tax += part.tax_minor
    return net, tax


def _by_rate(line: DocumentLine, *, inclusive: bool) -> list[Part]:
    value = line.amount_minor - line.discount_minor
    if not line.taxes:
        return [Part(line, value, 0, ZERO, None)]
    if len(line.taxes) == 1:
        tax = line.taxes[0]
        return [Part(line, value - tax.amount_minor if inclusive else value, tax.amount_minor, tax.rate, tax.country)]
    total_tax = sum(tax.amount_minor for tax in line.taxes)
    net = value - total_tax if inclusive else value
    bases = [tax.taxable_minor for tax in line.taxes]
    if sum(bases) != net or len({tax.rate for tax in line.taxes}) == 1:
        if all(base in (0, net) for base in bases):
            # Taxes of several authorities on the same base (state and county) are one combined rate to Exact's VAT codes.
            rate = sum((tax.rate for tax in line.taxes), ZERO)
            return [Part(line, net, total_tax, rate, line.taxes[0].country)]
        weights = [abs(base) for base in bases]
        bases = allocate(net, weights) if any(weights) else [net, *([0] * (len(bases) - 1))]
    return [Part(line, base, tax.amount_minor, tax.rate, tax.country) for base, tax in zip(bases, line.taxes, strict=True)]


def _share_discounts(parts: list[Part], *, inclusive: bool) -> None:
    """Share the discounts of a line among the parts that it was cut into."""
    values = [part.net_minor + (part.tax_minor if inclusive else 0) for part in parts]
    for index, part in enumerate(parts):
        part.discounts = tuple(
            replace(discount, amount_minor=share_of_part(discount.amount_minor, values, index))
            for discount in part.line.discounts
        )


def _ideal_tax(part: Part, *, inclusive: bool) -> Fraction:
    rate = Fraction(part.rate)
    if inclusive:
        return Fraction(part.net_minor + part.tax_minor) * rate / (PERCENT + rate)
    return Fraction(part.net_minor) * rate / PERCENT
