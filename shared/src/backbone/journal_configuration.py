"""The journals of a division: one for each kind of entry, other ones for a currency, and others again for a time."""

from __future__ import annotations

from typing import Final

from pydantic import Field, model_validator

from backbone.configuration_types import Code, Currency, PlacedError, Strict
from backbone.rule_configuration import Dated

PURPOSES: Final = ("invoices", "credit_notes", "payments", "write_offs", "ledger", "settlements")
OF_A_CURRENCY: Final = PURPOSES[:3]


class JournalsOfCurrency(Strict):
    """The journals of documents in one currency; what is left out goes to the journals of all currencies."""

    invoices: Code | None = None
    credit_notes: Code | None = None
    payments: Code | None = None


class DatedJournals(Dated, JournalsOfCurrency):
    """Journals that entries go to for a time; dates are those of the entries, and what is left out stays where it was."""

    currency: Currency | None = Field(None, description="only for documents in this currency")
    write_offs: Code | None = None
    ledger: Code | None = None
    settlements: Code | None = None

    def named(self) -> dict[str, str]:
        """Return the journals by their purpose."""
        return {purpose: code for purpose in PURPOSES if (code := getattr(self, purpose)) is not None}

    @model_validator(mode="after")
    def _is_for_a_time(self) -> DatedJournals:
        if self.first is None and self.last is None:
            raise ValueError("write from, until or both; journals for all days stand under journals itself")
        if not self.named():
            raise ValueError("name at least one journal, such as invoices")
        of_no_currency = [purpose for purpose in self.named() if purpose not in OF_A_CURRENCY]
        if self.currency is not None and of_no_currency:
            message = "a currency has no journal of its own for this; write it in another item, without currency"
            raise PlacedError([((purpose,), message) for purpose in of_no_currency])
        return self


class Journals(Strict):
    """The journal codes in Exact that entries go to."""

    invoices: Code
    credit_notes: Code
    payments: Code
    write_offs: Code | None = Field(None, description="a general journal, for debts that are written off")
    ledger: Code | None = Field(None, description="a general journal that allows VAT, for invoices in mode ledger")
    settlements: Code | None = Field(
        None, description="a general journal, for payouts of gateways; with VAT where fees have a code"
    )
    currencies: dict[Currency, JournalsOfCurrency] = Field(
        default_factory=dict, description="other journals for the documents of one currency"
    )
    dated: tuple[DatedJournals, ...] = Field((), description="other journals for a time, such as those of a new year")

    def codes(self) -> set[str]:
        """Return every journal that is named."""
        parts = (self, *self.currencies.values(), *self.dated)
        named = (getattr(part, purpose, None) for part in parts for purpose in PURPOSES)
        return {code for code in named if code is not None}
