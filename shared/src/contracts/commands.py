"""Commands: what the mapper asks the exact-writer to write. They are complete: the writer posts, it does not think."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar, Literal

import msgspec

from contracts.envelope import Message
from contracts.facts import DocumentRef


class SaveAccount(Message, frozen=True, kw_only=True):
    """Create the customer in Exact, or change what differs (crm/Accounts with status C).

    `customer_ref` is `site/customer id`; `fingerprint` changes when a mapped field changes, so that equal ones cost no call.
    `country` is ISO 3166 alpha-2; `vat_number` already passed the check digit, or is None. `receivable_account` is the ledger of
    the customer's debts, `payment_condition` a code of Exact; None of these two leaves in Exact what is there. `account_code` is
    the account that a person named for the customer, or `new` for one of its own; without it the writer looks for one that fits.
    `account_fields` are free fields (remarks, trade_name, website, code_at_supplier) of an account made for the customer.
    `custom_fields` are fields that somebody made in Exact (edition Premium), each a call of its own once the account stands.
    `parent_ref` and `invoice_account_ref` are other customers, whose accounts are named when they are known by then.
    """

    TYPE: ClassVar[str] = "exact.account.save"
    division: int
    customer_ref: str
    fingerprint: str
    name: str
    email: str | None = None
    phone: str | None = None
    address_line1: str | None = None
    address_line2: str | None = None
    address_line3: str | None = None
    postcode: str | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None
    vat_number: str | None = None
    receivable_account: str | None = None
    payment_condition: str | None = None
    chamber_of_commerce: str | None = None
    language: str | None = None
    account_code: str | None = None
    parent_ref: str | None = None
    invoice_account_ref: str | None = None
    account_fields: dict[str, str | None] = msgspec.field(default_factory=dict)
    custom_fields: dict[str, str] = msgspec.field(default_factory=dict)


class EntryLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line to post; the amount excludes VAT and is signed as Exact wants it for the entry's kind.

    sales: positive is revenue, negative is what a credit note takes back; general: positive is debit, negative is credit.
    `vat_amount_minor` is Chargebee's own tax on this line and is sent, so that Exact does not recompute it. `from_date` and
    `to_date` (both inclusive) ask Exact to defer the revenue. `is_receivable` marks the customer's line of a general entry, and
    `customer_ref` whose it is where that is not the customer of the command.
    `item_code` (at most 30 characters) names the item of a sales invoice's line; it is made in Exact where it is missing.
    """

    gl_account: str
    amount_minor: int
    description: str = ""
    vat_code: str | None = None
    vat_amount_minor: int | None = None
    cost_center: str | None = None
    cost_unit: str | None = None
    quantity: Decimal | None = None
    from_date: date | None = None
    to_date: date | None = None
    is_receivable: bool = False
    customer_ref: str | None = None
    notes: str | None = None
    item_code: str | None = None


class LinkedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of Exact's that somebody else booked, and that a document of ours is; `entry_id` is a GUID.

    `who` said so, when a person did, with `why` and the day.
    """

    entry_id: str
    entry_number: int
    journal: str
    who: str = ""
    why: str = ""
    said_on: date | None = None


class PostEntry(Message, frozen=True, kw_only=True):
    """Post one entry: kind sales to salesentry/SalesEntries, kind general to generaljournalentry/GeneralJournalEntries.

    Mode `ledger` lets the writer put a general entry into one entry of Exact's together with others of its journal, currency,
    rate and period; its lines stay its own, each with the reference in its description. Mode `document` books a sales entry as a
    sales invoice of items, where Exact comes to the same cents, and else as a sales entry.

    `bundle` narrows that down to the entries of one bundle, such as the payments of a control account and day, which are sent
    when no more are expected: not before `not_before`.

    `command_id` derives from the document and is the same after every replay. `your_ref` (at most 30 characters) is what an
    unknown outcome is looked up by: in YourRef for sales entries, in the lines' description for general ones.
    `exchange_rate` is division currency per unit of `currency`; without it Exact takes its own of the day. `payment_condition`
    is Exact's code, and without it Exact takes the customer's. `receivable_account` is where Exact makes the customer's line of a
    sales entry; it stands with the account and is not sent. Without a reporting period Exact derives it from the date.
    `customer_ref` is empty for an entry without a debtor, such as a gateway's payout.
    `mapping_version` is the state of the division's rules that the entry was made by.
    `pdf` asks for Chargebee's original to be attached to the entry once it is booked.
    `is_asked` says that a person waits for this one entry (`kruispost retry NUMBER`): it goes before all that waits.
    `may_exist` says that somebody else may have booked the document: it is looked for in Exact's ledger before it is posted, and
    linked when number, amount and customer agree. `linked` is the entry that a person named: nothing is posted then.
    `follows` are the `your_ref` of entries that go before this one where they wait too: those it settles, credits or takes back.
    """

    TYPE: ClassVar[str] = "exact.entry.post"
    division: int
    command_id: str
    kind: Literal["sales", "general"]
    document: DocumentRef
    customer_ref: str
    journal: str
    your_ref: str
    entry_date: date
    currency: str
    decimals: int
    lines: tuple[EntryLine, ...]
    description: str = ""
    due_date: date | None = None
    exchange_rate: Decimal | None = None
    payment_condition: str | None = None
    receivable_account: str | None = None
    reporting_year: int | None = None
    reporting_period: int | None = None
    mapping_version: str = ""
    mode: Literal["entry", "document", "ledger"] = "entry"
    bundle: str | None = None
    not_before: datetime | None = None
    pdf: bool = False
    is_asked: bool = False
    may_exist: bool = False
    linked: LinkedEntry | None = None
    follows: tuple[str, ...] = ()
