"""Why a line of a document went where it went, as data: a person is told it, and may look the rules up."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from bookkeeping.money import format_minor
from bookkeeping.telling import InTwo, rule_in_dutch


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a line's net amount and the days that it is earned in; without days it is earned at once."""

    amount_minor: int
    first: date | None = None
    last: date | None = None


class LineReason(msgspec.Struct, frozen=True, kw_only=True):
    """One line, or the part of it that one rate of tax falls on; amounts as the document has them, positive in a sale.

    `moved_minor` is what the VAT differs from the line's own, so that all lines come to the VAT of the document. The rules are
    told by their conditions, and by their places in the lists of the configuration, None where they have none;
    `about_dimensions` says in words which rules gave the cost centre and the cost unit.
    """

    description: str
    account: str
    net_minor: int
    revenue_rule: str
    revenue_index: int | None
    vat_code: str
    vat_minor: int
    vat_rule: str
    vat_index: int | None
    rate: Decimal
    moved_minor: int = 0
    about_dimensions: str = ""
    about_dimensions_nl: str = ""
    shares: tuple[Share, ...] = ()

    def sentence(self, currency: str) -> InTwo:
        """Return it in words."""
        net, vat = format_minor(self.net_minor, currency), format_minor(self.vat_minor, currency)
        return InTwo(
            f"'{self.description}' {net} on {self.account} by rule ({self.revenue_rule}); VAT {vat} with code {self.vat_code} by"
            f" rule ({self.vat_rule}){self.about_dimensions}.",
            f"'{self.description}' {net} op {self.account} volgens regel ({rule_in_dutch(self.revenue_rule)}); btw {vat} met code"
            f" {self.vat_code} volgens regel ({rule_in_dutch(self.vat_rule)}){self.about_dimensions_nl}.",
        )
