"""What becomes of bank lines that Exact did not match with an invoice."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from backbone.configuration_types import Code, Currency, Strict

ENTRY_DETAILS = ("division", "entry_id", "entry_number")


def _details_known(link: str) -> str:
    strange = [name for name in re.findall(r"\{([^{}]*)\}", link) if name not in ENTRY_DETAILS]
    if strange:
        known = ", ".join(f"{{{name}}}" for name in ENTRY_DETAILS)
        message = f"{{{strange[0]}}} is not known of an entry; use {known}"
        raise ValueError(message)
    return link


class BankMatching(Strict):
    """Which lines are looked at beside those on debtor accounts, and what may be done without a person."""

    record_certain: bool = Field(
        default=False,
        description="record in Chargebee, without asking, what leaves no doubt: number, exact amount and payer agree",
    )
    suspense_accounts: tuple[Code, ...] = Field(
        (), description="ledger accounts on which receipts stand until somebody knows whose they are"
    )
    tolerances: dict[Currency, Annotated[int, Field(ge=1, le=500)]] = Field(
        default_factory=dict,
        description="how much of an invoice may be missing, by currency and in its smallest unit; the rest is written off",
    )
    entry_link: Annotated[str, Field(max_length=500), AfterValidator(_details_known)] | None = Field(
        None,
        description="the address of an entry in Exact as your browser shows it, with {division}, {entry_id} or {entry_number} in"
        " the place of the ids; lines to match are listed with it",
    )
