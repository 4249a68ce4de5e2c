"""Facts about bank lines that Exact has not matched with an invoice: how they stand, what was decided, what came of it."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal

import msgspec

from contracts.envelope import Message
from contracts.facts import DocumentRef


class BankLineObserved(Message, frozen=True, kw_only=True):
    """Exact's state of one part of a bank line on a debtor account or a suspense account.

    Exact splits what a line left on a debtor account when only some of it is matched; `part_id` is that of the payment term, and
    the line's own id on a suspense account. `amount_minor` is this part in hundredths of `currency`, positive for money received.
    `is_gone` is true once the part was deleted or booked elsewhere, and is said of all parts where `part_id` is empty.
    `gl_account` is a code, `account_id` Exact's account (a GUID) that the line stands with, empty where nobody said whose it is.
    `iban` is the payer's, where Exact shows one. Of a part that is matched, `your_ref` is the number of the invoice where it is
    matched with only one, and `settled_on` the latest day of all that it is matched with.
    """

    TYPE: ClassVar[str] = "exact.bank_line.observed"
    division: int
    line_id: str
    part_id: str
    timestamp: int
    entry_id: str = ""
    entry_number: int = 0
    journal: str = ""
    day: date | None = None
    currency: str = "EUR"
    amount_minor: int = 0
    is_matched: bool = False
    settled_on: date | None = None
    is_gone: bool = False
    gl_account: str = ""
    account_id: str = ""
    account_name: str = ""
    description: str = ""
    your_ref: str = ""
    payment_reference: str = ""
    iban: str = ""


class DecidedPart(msgspec.Struct, frozen=True, kw_only=True):
    """What a bank line pays of one invoice, in minor units of the invoice's currency.

    `short_minor` is what is missing within the tolerance, to be written off in Chargebee once the payment is recorded.
    """

    document: DocumentRef
    amount_minor: int
    short_minor: int = 0


class BankLineDecided(Message, frozen=True, kw_only=True):
    """Somebody decided what an unmatched bank line is: `by` is kruispost for what needed nobody's judgement.

    `round` counts the decisions about one line. `excess_minor` is what the customer is owed back or pays in advance, in minor
    units of `currency`; `paid_on` is the day of the bank line. `why` is a person's reason to dismiss it. `besides` are
    transactions of Chargebee that may be of the same money and stood there still when a person had it recorded all the same.
    """

    TYPE: ClassVar[str] = "matcher.bank_line.decided"
    division: int
    line_id: str
    entry_id: str
    decision: Literal["record", "dismiss", "undo"]
    by: str
    round: int
    currency: str
    paid_on: date | None = None
    parts: tuple[DecidedPart, ...] = ()
    excess_minor: int = 0
    site: str = ""
    customer_id: str = ""
    why: str = ""
    besides: tuple[str, ...] = ()


class ExcessRecorded(Message, frozen=True, kw_only=True):
    """What a bank line brought beyond invoices stands in Chargebee as an excess payment of the customer, under `reference`."""

    TYPE: ClassVar[str] = "matcher.excess.recorded"
    division: int
    line_id: str
    site: str
    customer_id: str
    currency: str
    transaction_id: str
    amount_minor: int
    payment_date: date
    reference: str
    found: bool = False


class ExcessNotRecorded(Message, frozen=True, kw_only=True):
    """What a bank line brought beyond invoices was not recorded in Chargebee, and why; it is in the inbox again."""

    TYPE: ClassVar[str] = "matcher.excess.not_recorded"
    division: int
    line_id: str
    site: str
    customer_id: str
    code: str
    sentence: str
    sentence_nl: str = ""


class ShortageWrittenOff(Message, frozen=True, kw_only=True):
    """The few cents that a bank line fell short of an invoice were written off in Chargebee, within the tolerance.

    `code` and its sentences say what a person has to mend where Chargebee wrote off another amount; else they are empty.
    """

    TYPE: ClassVar[str] = "matcher.shortage.written_off"
    document: DocumentRef
    division: int
    line_id: str
    amount_minor: int
    code: str = ""
    sentence: str = ""
    sentence_nl: str = ""
