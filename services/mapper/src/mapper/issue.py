"""Entries and customers to the commands that the exact-writer carries out, and an entry back from the command that booked it."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec.structs import replace

from bookkeeping.bookings import booking_of, reference
from bookkeeping.customers import CONTACT_LENGTHS, chamber_of_commerce_of, usable_contact
from bookkeeping.journal import Entry, Line, Role
from bookkeeping.mapping import Mapping
from bookkeeping.money import decimals_of
from bookkeeping.telling import CONTACT_WORDS, InTwo, tell
from bookkeeping.vat import vat_number_of
from contracts import chargebee
from contracts.commands import EntryLine, PostEntry, SaveAccount
from contracts.envelope import derived_id
from contracts.facts import DocumentRef, PeriodMove, ReasonOfLine, ShareOfLine, VatOfCode
from mapper.parties import debtor_of, terms_of
from mapper.translate import country_of

YOUR_REF_LENGTH = 30
DESCRIPTION_LENGTH = 60
NAME_LENGTH = 50
HASH_LENGTH = 8
LINKABLE = frozenset(("invoice", "credit_note", "payment", "refund"))
AFTER_THE_DAY = timedelta(hours=1)


def your_ref(reference: str) -> str:
    """Return a document number of at most 30 characters, Exact's limit; a longer one keeps its start and gets a hash."""
    if len(reference) <= YOUR_REF_LENGTH:
        return reference
    digest = hashlib.blake2b(reference.encode(), digest_size=HASH_LENGTH // 2).hexdigest()
    return f"{reference[: YOUR_REF_LENGTH - HASH_LENGTH - 1]}~{digest}"


def base_reference(document: DocumentRef) -> str:
    """Return what Exact shows of a document's first booking: its number, and what is apart from the document of that number."""
    own = {"vat_reclaim": "/VAT", "exchange_difference": "/FX", "application": "/FX"}
    return document.number + own.get(document.kind, "")


def with_pdf(document: DocumentRef, customer: chargebee.Customer | None, mapping: Mapping) -> bool:
    """Tell whether a booking gets Chargebee's PDF; the mirror that takes one back does not, a booking anew does."""
    if booking_of(document.suffix).is_reversal or customer is None:
        return False
    return mapping.wants_pdf(document.kind, is_business=debtor_of(customer).kind == "business")


def post_entry(
    entry: Entry, document: DocumentRef, mapping: Mapping, attempt: int, *, pdf: bool = False, zone: tzinfo = UTC
) -> PostEntry:
    """Return the command that books an entry; `zone` is where the site's days end, for what is booked after its day.

    Exact makes the debtor line of a sales entry itself, so only the others are sent, with their signs turned: revenue is
    positive there. A general entry is sent whole, positive in debit; in mode ledger the writer may send it with others.
    """
    sales = entry.kind == "sales"
    bundle = bundle_of(entry, document, mapping)
    mode = "ledger" if bundle is not None else mode_of(entry, mapping)
    sign = -1 if sales else 1
    lines = [
        EntryLine(
            gl_account=line.account,
            amount_minor=sign * line.amount_minor,
            description=line.description[:DESCRIPTION_LENGTH],
            vat_code=line.vat_code,
            vat_amount_minor=sign * line.vat_minor if line.vat_code is not None and not line.is_vat_by_exact else None,
            cost_center=line.cost_center,
            cost_unit=line.cost_unit,
            from_date=line.first,
            to_date=line.last,
            is_receivable=line.is_receivable,
            customer_ref=_other_customer(line, entry, document),
            notes=line.notes or None,
            item_code=_item_code(line) if mode == "document" else None,
        )
        for line in entry.lines
        if not (sales and line.role is Role.RECEIVABLE)
    ]
    site, kind, number, suffix = document.site, document.kind, document.number, document.suffix
    customer_id = entry.customers(document.customer_id)[0]
    customer_ref = f"{site}/{customer_id}" if customer_id else ""
    return PostEntry(
        division=mapping.division,
        mapping_version=mapping.version,
        command_id=derived_id("entry", str(mapping.division), site, kind, number, suffix, str(attempt)),
        kind=entry.kind,
        document=document,
        customer_ref=customer_ref,
        journal=entry.journal,
        your_ref=your_ref(entry.reference),
        entry_date=entry.entry_date,
        currency=entry.currency,
        decimals=decimals_of(entry.currency),
        lines=tuple(lines),
        description=entry.description[:DESCRIPTION_LENGTH],
        due_date=entry.due_date,
        exchange_rate=entry.exchange_rate,
        payment_condition=entry.payment_condition,
        receivable_account=next((line.account for line in entry.lines if line.role is Role.RECEIVABLE), None) if sales else None,
        reporting_year=entry.reporting_year,
        reporting_period=entry.reporting_period,
        mode=mode,
        bundle=bundle,
        not_before=_end_of_day(entry.entry_date, zone) if bundle is not None else None,
        pdf=pdf,
        may_exist=may_exist(entry, document, mapping),
    )


def may_be_theirs(mapping: Mapping, day: date) -> bool:
    """Tell whether documents of a day may stand in Exact already, booked by somebody else."""
    return mapping.shadow or (mapping.link_before is not None and day < mapping.link_before)


def may_exist(entry: Entry, document: DocumentRef, mapping: Mapping) -> bool:
    """Tell whether somebody else may have booked a document in Exact: one of before a day that a person set, or all in shadow."""
    is_open = may_be_theirs(mapping, document.document_date or entry.entry_date)
    return is_open and booking_of(document.suffix).step == 0 and document.kind in LINKABLE


def reasons_of(entry: Entry) -> tuple[ReasonOfLine, ...]:
    """Return why each line went where it went, as the message carries it."""
    return tuple(
        ReasonOfLine(
            description=each.description,
            account=each.account,
            net_minor=each.net_minor,
            revenue_rule=each.revenue_rule,
            revenue_index=each.revenue_index,
            vat_code=each.vat_code,
            vat_minor=each.vat_minor,
            vat_rule=each.vat_rule,
            vat_index=each.vat_index,
            rate=each.rate,
            moved_minor=each.moved_minor,
            about_dimensions=each.about_dimensions,
            about_dimensions_nl=each.about_dimensions_nl,
            shares=tuple(
                ShareOfLine(amount_minor=share.amount_minor, first=share.first, last=share.last) for share in each.shares
            ),
        )
        for each in entry.reasons
    )


def period_moves(entry: Entry) -> tuple[PeriodMove, ...]:
    """Return what of an entry is reported in another period than its date says."""
    return tuple(
        PeriodMove(
            kind=move.kind,
            journal=move.journal,
            from_period=move.from_period,
            to_period=move.to_period,
            currency=move.currency,
            decimals=decimals_of(move.currency),
            amount_minor=move.amount_minor,
            vat=tuple(VatOfCode(code=code, amount_minor=amount) for code, amount in move.vat),
            filed_return=move.filed_return,
        )
        for move in entry.moves
    )


def bundle_of(entry: Entry, document: DocumentRef, mapping: Mapping) -> str | None:
    """Return which payments an entry goes together with: those of its control account and day; None for one by itself.

    The writer tells currencies, rates and periods apart. One without a rate gets that of its own day from Exact, by itself.
    """
    if mapping.payments != "daily" or document.kind not in ("payment", "refund"):
        return None
    if entry.currency != mapping.currency and entry.exchange_rate is None:
        return None
    account = next((line.account for line in entry.lines if line.role is Role.CONTROL), "")
    return f"{account} {entry.entry_date.isoformat()}"


def _end_of_day(day: date, zone: tzinfo) -> datetime:
    """Return when the payments of a day may be booked: an hour after it, when its last webhooks have come or were asked for."""
    following = datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone)
    return following.astimezone(UTC) + AFTER_THE_DAY


def mode_of(entry: Entry, mapping: Mapping) -> Literal["entry", "document", "ledger"]:
    """Return how an entry goes to Exact. One without a rate gets that of its own day, so it is not put together with others."""
    is_foreign = entry.currency != mapping.currency
    if mapping.mode == "document" and entry.kind == "sales" and not is_foreign:
        return "document"
    if mapping.mode == "ledger" and entry.kind == "general" and not (is_foreign and entry.exchange_rate is None):
        return "ledger"
    return "entry"


def _item_code(line: Line) -> str:
    """Return the item of a line: one for each product and ledger account, since an item has one account of its own."""
    return your_ref(f"{line.account}-{line.product or line.role.value}")


def booked_entry(command: PostEntry, reference: str, receivable_account: str, exchange_rate: str | None = None) -> Entry:
    """Return the entry that a command booked, so that its mirror takes back exactly that, whatever the rules say today.

    `exchange_rate` is what Exact said of its rate, for a command that names none.
    """
    sales = command.kind == "sales"
    sign = -1 if sales else 1
    lines = [
        Line(
            role=_role(command, line),
            account=line.gl_account,
            amount_minor=sign * line.amount_minor,
            description=line.description,
            vat_code=line.vat_code,
            vat_minor=sign * (line.vat_amount_minor or 0),
            cost_center=line.cost_center,
            cost_unit=line.cost_unit,
            first=line.from_date,
            last=line.to_date,
            notes=line.notes or "",
            customer_id=_id_of(line.customer_ref or command.customer_ref) if line.is_receivable else None,
            product=line.item_code.removeprefix(f"{line.gl_account}-") if line.item_code else None,
        )
        for line in command.lines
    ]
    if sales:
        debt = -sum(line.amount_minor + line.vat_minor for line in lines)
        account = command.receivable_account or receivable_account
        lines.insert(0, Line(role=Role.RECEIVABLE, account=account, amount_minor=debt))
    return Entry(
        kind=command.kind,
        journal=command.journal,
        reference=reference,
        entry_date=command.entry_date,
        currency=command.currency,
        lines=tuple(lines),
        description=command.description,
        due_date=command.due_date,
        exchange_rate=command.exchange_rate or (Decimal(exchange_rate) if exchange_rate is not None else None),
        customer_id=_id_of(command.customer_ref),
    )


def _other_customer(line: Line, entry: Entry, document: DocumentRef) -> str | None:
    """Return the customer of a receivable line, where it is not the one that the command names."""
    if not line.is_receivable:
        return None
    own = line.customer_id or entry.customer_id or document.customer_id
    return None if own == entry.customers(document.customer_id)[0] else f"{document.site}/{own}"


def _id_of(customer_ref: str) -> str:
    return customer_ref.partition("/")[2]  # an entry without a debtor names none


def _role(command: PostEntry, line: EntryLine) -> Role:
    if line.is_receivable:
        return Role.RECEIVABLE
    return Role.REVENUE if command.kind == "sales" else Role.CONTROL


def with_reference(entry: Entry, transaction_id: str) -> Entry:
    """Return a general entry whose lines begin with the reference that a lost answer is looked up by."""
    lines = tuple(
        line
        if line.description.startswith(entry.reference)
        else replace(line, description=f"{entry.reference} {line.description.removeprefix(transaction_id).strip()}")
        for line in entry.lines
    )
    return replace(entry, lines=lines)


def as_issued(entry: Entry, document: DocumentRef) -> Entry:
    """Return an entry under the reference of its booking, which a general one has in the texts of its lines, too."""
    entry = replace(entry, reference=reference(base_reference(document), document.suffix))
    if entry.kind != "general":
        return entry
    named = with_reference(replace(entry, reference=your_ref(entry.reference)), document.number)
    lines = tuple(replace(line, description=line.description[:DESCRIPTION_LENGTH]) for line in named.lines)
    return replace(named, lines=lines)


def is_of_a_sale(command: PostEntry) -> bool:
    """Tell whether an entry is of a sale, its credit or its write-off, all of whose texts the rules decide; not one of money."""
    return command.kind == "sales" or (command.document.kind in ("invoice", "credit_note") and command.linked is None)


def account_name(customer: chargebee.Customer) -> str:
    """Return the name for the ledger: the company, else the person, else the mail address, else Chargebee's id."""
    address = customer.billing_address
    person = " ".join(part for part in (customer.first_name, customer.last_name) if part)
    return customer.company or (address.company if address else None) or person or customer.email or customer.id


def is_withdrawn(customer: chargebee.Customer) -> bool:
    """Tell whether a customer was deleted (also by a merge) or made anonymous, so that its fields say nothing any more."""
    return customer.deleted or customer.pii_cleared == "cleared"


def _usable_vat_number(customer: chargebee.Customer) -> str | None:
    """Return the VAT number to send; Northern Ireland's prefix stands apart in Chargebee."""
    if customer.vat_number_status == "invalid":
        return None
    prefix = customer.vat_number_prefix or ""
    raw = f"{prefix}{customer.vat_number}" if customer.vat_number and prefix in ("XI", "GB") else customer.vat_number
    return vat_number_of(raw, country_of(customer.billing_address))


def remarks_on(customer: chargebee.Customer | None, mapping: Mapping) -> tuple[InTwo, ...]:
    """Return what of a customer is not sent because Exact would refuse it, in sentences for the one who reads the booking."""
    if customer is None:
        return ()
    remarks = _about_contact(customer)
    if customer.vat_number and _usable_vat_number(customer) is None:
        remarks.append(tell("vat_number_not_sent", number=customer.vat_number, customer=customer.id))
    field = mapping.customers.chamber_of_commerce
    number = customer.custom_field_texts.get(field or "")
    if number and chamber_of_commerce_of(number) is None:
        remarks.append(tell("chamber_of_commerce_not_sent", field=field, number=number, customer=customer.id))
    too_long = mapping.customers.too_long(customer.custom_field_texts)
    remarks += [tell("field_too_long", field=each, customer=customer.id) for each in too_long]
    return tuple(remarks)


def _about_contact(customer: chargebee.Customer) -> list[InTwo]:
    contact = _contact_of(customer)
    usable, remarks = usable_contact(contact), []
    for name, value in contact.items():
        given, field = (value or "").strip(), CONTACT_WORDS[name]
        if given and usable[name] is None:
            remarks.append(tell("contact_not_sent", field=field, value=given, customer=customer.id))
        elif given != (usable[name] or ""):
            remarks.append(tell("contact_cut", field=field, most=CONTACT_LENGTHS[name], customer=customer.id))
    return remarks


def _contact_of(customer: chargebee.Customer) -> dict[str, str | None]:
    address = customer.billing_address or chargebee.Address()
    return {
        "email": customer.email or address.email,
        "phone": customer.phone or address.phone,
        "address_line1": address.line1,
        "address_line2": address.line2,
        "address_line3": address.line3,
        "postcode": address.zip,
        "city": address.city,
    }


def relatives_of(customer: chargebee.Customer, site: str, mapping: Mapping) -> dict[str, str]:
    """Return the customers above this one that Exact is to show, as `site/id` by the field of the command."""
    above, hierarchy = customer.relationship, mapping.customers.hierarchy
    if above is None or hierarchy == "none":
        return {}
    wanted = {"parent_ref": above.parent_id}
    if hierarchy == "invoice_account":
        wanted["invoice_account_ref"] = above.invoice_owner_id
    return {name: f"{site}/{other}" for name, other in wanted.items() if other not in (None, "", customer.id)}


def save_account(customer: chargebee.Customer, site: str, mapping: Mapping, day: date) -> SaveAccount:
    """Return the command that brings a customer into Exact as he is on a day; its fingerprint covers every field that is sent."""
    rules = mapping.customers
    terms = mapping.terms.find(terms_of(customer), day) if mapping.terms is not None else None
    address = customer.billing_address or chargebee.Address()
    country = country_of(address)
    command = SaveAccount(
        division=mapping.division,
        customer_ref=f"{site}/{customer.id}",
        fingerprint="",
        name=account_name(customer)[:NAME_LENGTH],
        **usable_contact(_contact_of(customer)),
        # Exact knows states only of some countries, and refuses a code it does not know.
        state=None,
        country=country,
        vat_number=_usable_vat_number(customer),
        receivable_account=mapping.debtor_account(debtor_of(customer)) if mapping.debtors else None,
        payment_condition=terms.code if terms is not None else None,
        chamber_of_commerce=chamber_of_commerce_of(customer.custom_field_texts.get(rules.chamber_of_commerce or "")),
        language=rules.language(customer.locale),
        account_fields=rules.shown_fields(customer.custom_field_texts),
        custom_fields=rules.own_fields(customer.custom_field_texts),
        account_code=rules.link(site, customer.id),
        **relatives_of(customer, site, mapping),
    )
    digest = hashlib.blake2b(msgspec.json.encode(command), digest_size=12).hexdigest()
    return msgspec.structs.replace(command, fingerprint=digest)
