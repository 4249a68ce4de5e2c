"""Commands to the JSON that Exact takes: pure. Amounts are exact decimal numbers, dates have no zone, codes become GUIDs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import msgspec

from contracts.commands import EntryLine, PostEntry, SaveAccount
from exact_writer import odata

DESCRIPTION_LENGTH: Final = 60
NAME_LENGTH: Final = 50
SALES_INVOICE: Final = 8020
CREDIT_INVOICE: Final = 8021
SEARCH_CODE_PREFIX: Final = "KP"
CUSTOMER: Final = "C"
_ADDRESS: Final = ("AddressLine1", "AddressLine2", "AddressLine3", "Postcode", "City", "State", "Country")
# What is read back of an account, to know what it lacks and how a person recognises it.
ACCOUNT_PROPERTIES: Final = (
    *("Name", "SearchCode", "Email", "Phone"),
    *_ADDRESS,
    *("VATNumber", "ChamberOfCommerce", "Language", "PaymentConditionSales", "Parent", "InvoiceAccount"),
)

_encoder = msgspec.json.Encoder(decimal_format="number")


def encode(body: Mapping[str, Any]) -> bytes:
    """The bytes to send; a Decimal becomes a JSON number with all its digits."""
    return _encoder.encode(body)


def amount(minor: int, decimals: int) -> Decimal:
    """Minor units as the number that Exact takes: 12345 with two decimals is 123.45."""
    return Decimal(minor).scaleb(-decimals)


def total(command: PostEntry) -> Decimal:
    """What all lines of a command come to with their VAT: of a sale, what the customer's debt grows by."""
    return amount(sum(line.amount_minor + (line.vat_amount_minor or 0) for line in command.lines), command.decimals)


def search_code(customer_ref: str) -> str:
    """The search code by which a customer's account is found again; accounts have no field for a foreign key."""
    return SEARCH_CODE_PREFIX + hashlib.blake2b(customer_ref.encode(), digest_size=8).hexdigest().upper()


# Fields that nothing but people read, so they are filled only where we made the account: elsewhere they are a person's.
FREE_FIELDS: Final[Mapping[str, str]] = {
    "remarks": "Remarks",
    "trade_name": "TradeName",
    "website": "Website",
    "code_at_supplier": "CodeAtSupplier",
}


def account(command: SaveAccount, receivable_ledger_id: str | None = None) -> dict[str, Any]:
    """A crm/Accounts body; status C, since a sales entry for another status is refused. Fields that are None empty the field.

    The debtor account (GLAR, a ledger's GUID) and the payment condition are there only when the mapping names one:
    else what stands in Exact stays.
    """
    named = _given({"GLAR": receivable_ledger_id, "PaymentConditionSales": command.payment_condition})
    free = {
        property_name: command.account_fields[name]
        for name, property_name in FREE_FIELDS.items()
        if name in command.account_fields
    }
    return {
        **named,
        **free,
        "Name": command.name[:NAME_LENGTH],
        "Status": CUSTOMER,
        "SearchCode": search_code(command.customer_ref),
        "Email": command.email,
        "Phone": command.phone,
        "AddressLine1": command.address_line1,
        "AddressLine2": command.address_line2,
        "AddressLine3": command.address_line3,
        "Postcode": command.postcode,
        "City": command.city,
        "State": command.state,
        "Country": command.country,
        "VATNumber": command.vat_number,
        "ChamberOfCommerce": command.chamber_of_commerce,
        "Language": command.language,
    }


def adoption(body: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """What an account that was there already gets of `body`: status C, and what is empty in Exact; nothing is overwritten.

    `values` are the properties that are filled in Exact. An address is one thing: it is given whole or not at all. The status is
    always sent, so that the call also shows whether the account is still there.
    """
    has_address = any(values.get(name) for name in ("AddressLine1", "Postcode", "City"))
    lacking = {
        name: value
        for name, value in body.items()
        if value is not None and not values.get(name) and not (has_address and name in _ADDRESS)
    }
    return {**lacking, "Status": CUSTOMER}


def changes(body: Mapping[str, Any], sent: Mapping[str, Any] | None) -> dict[str, Any]:
    """What differs from what was last sent; everything when that is not known."""
    if sent is None:
        return dict(body)
    return {name: value for name, value in body.items() if sent.get(name) != value}


def new_account(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a POST: what is empty is left out."""
    return _given(dict(body))


def sales_entry(command: PostEntry, customer_id: str, ledgers: Mapping[str, str], division_currency: str) -> dict[str, Any]:
    """A salesentry/SalesEntries body. Chargebee's VAT is sent on every line with a VAT code, or Exact would recompute it.

    `ledgers` maps codes to GUIDs; raises KeyError for one that is not there.
    """
    return _given(
        {
            "Customer": customer_id,
            "Journal": command.journal,
            "YourRef": command.your_ref,
            "Description": _cut(command.description) or None,
            "EntryDate": odata.day_out(command.entry_date),
            "DueDate": odata.day_out(command.due_date) if command.due_date else None,
            "PaymentCondition": command.payment_condition,
            "Currency": command.currency,
            "Rate": _rate(command, division_currency),
            "ReportingYear": command.reporting_year,
            "ReportingPeriod": command.reporting_period,
            "SalesEntryLines": [_sales_line(line, command.decimals, ledgers) for line in command.lines],
        }
    )


def item(code: str, gl_account: str, ledgers: Mapping[str, str]) -> dict[str, Any]:
    """A logistics/Items body: what is sold under this code, on this ledger account."""
    return {"Code": code, "Description": _cut(code), "IsSalesItem": True, "GLRevenue": ledgers[gl_account]}


def sales_invoice(command: PostEntry, customer_id: str, items: Mapping[str, str], ledgers: Mapping[str, str]) -> dict[str, Any]:
    """A salesinvoice/SalesInvoices body, which drafts an invoice. Exact takes no negative price, so the quantity turns instead.

    `items` maps the lines' item codes to GUIDs. Its number is Exact's own; YourRef carries the document's.
    """
    return _given(
        {
            "OrderedBy": customer_id,
            "InvoiceTo": customer_id,
            "Journal": command.journal,
            "Type": CREDIT_INVOICE if total(command) < 0 else SALES_INVOICE,
            "YourRef": command.your_ref,
            "Description": _cut(command.description) or None,
            "DueDate": odata.day_out(command.due_date) if command.due_date else None,
            "PaymentCondition": command.payment_condition,
            "Currency": command.currency,
            "SalesInvoiceLines": [_invoice_line(line, command.decimals, items, ledgers) for line in command.lines],
        }
    )


def printed_invoice(command: PostEntry, invoice_id: str) -> dict[str, Any]:
    """A salesinvoice/PrintedSalesInvoices body, which makes a draft final; Exact sends nothing to the customer."""
    return _given(
        {
            "InvoiceID": invoice_id,
            "InvoiceDate": odata.day_out(command.entry_date),
            "ReportingYear": command.reporting_year,
            "ReportingPeriod": command.reporting_period,
            "SendEmailToCustomer": False,
            "SendInvoiceToCustomerPostbox": False,
            "SendOutputBasedOnAccount": False,
        }
    )


def _invoice_line(line: EntryLine, decimals: int, items: Mapping[str, str], ledgers: Mapping[str, str]) -> dict[str, Any]:
    return _given(
        {
            "Item": items[line.item_code or ""],
            "GLAccount": ledgers[line.gl_account],
            "Quantity": -1 if line.amount_minor < 0 else 1,
            "NetPrice": amount(abs(line.amount_minor), decimals),
            "Description": _cut(line.description) or None,
            "Notes": line.notes,
            "VATCode": line.vat_code,
            "VATAmountFC": amount(line.vat_amount_minor or 0, decimals) if line.vat_code is not None else None,
            "CostCenter": line.cost_center,
            "CostUnit": line.cost_unit,
            "StartTime": odata.day_out(line.from_date) if line.from_date else None,
            "EndTime": odata.day_out(line.to_date) if line.to_date else None,
        }
    )


def general_entry(
    command: PostEntry,
    customer_id: str,
    ledgers: Mapping[str, str],
    division_currency: str,
    others: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """A generaljournalentry/GeneralJournalEntries body. The header takes no date, reference or description; the lines do.

    Every line's description names the reference, by which an unknown outcome is looked up. `others` are the accounts of the
    customers that single lines name.
    """
    period = (command.reporting_year, command.reporting_period)
    return ledger_entry([(command, customer_id)], ledgers, division_currency, period, others)


def ledger_entry(
    members: Sequence[tuple[PostEntry, str]],
    ledgers: Mapping[str, str],
    division_currency: str,
    period: tuple[int | None, int | None],
    others: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """A generaljournalentry/GeneralJournalEntries body with the lines of each command and its customer, in their order.

    Journal, currency and rate are those of the first command, and the same in all of them.
    """
    first = members[0][0]
    year, number = period
    return _given(
        {
            "JournalCode": first.journal,
            "Currency": first.currency,
            "ExchangeRate": _rate(first, division_currency),
            "FinancialYear": year,
            "FinancialPeriod": number,
            "GeneralJournalEntryLines": [
                _general_line(line, command, others.get(line.customer_ref or "", customer_id), ledgers)
                for command, customer_id in members
                for line in command.lines
            ],
        }
    )


def general_description(line: EntryLine, your_ref: str) -> str:
    """A line's description with the reference in it, within Exact's length."""
    if mentions(line.description[:DESCRIPTION_LENGTH], your_ref):
        return _cut(line.description)
    return _cut(f"{your_ref} {line.description}".strip())


def mentions(description: str, your_ref: str) -> bool:
    """Whether a description names exactly this reference: `TX1` is not in `paid TX10`."""
    return re.search(rf"(?<![\w-]){re.escape(your_ref)}(?![\w-])", description) is not None


def _sales_line(line: EntryLine, decimals: int, ledgers: Mapping[str, str]) -> dict[str, Any]:
    with_vat = line.vat_code is not None and line.vat_amount_minor is not None
    return _given(
        {
            "GLAccount": ledgers[line.gl_account],
            "AmountFC": amount(line.amount_minor, decimals),
            "Description": _cut(line.description) or None,
            "Notes": line.notes,
            "VATCode": line.vat_code,
            "VATAmountFC": amount(line.vat_amount_minor or 0, decimals) if with_vat else None,
            "CostCenter": line.cost_center,
            "CostUnit": line.cost_unit,
            "Quantity": line.quantity,
            "From": odata.day_out(line.from_date) if line.from_date else None,
            "To": odata.day_out(line.to_date) if line.to_date else None,
        }
    )


def _general_line(line: EntryLine, command: PostEntry, customer_id: str, ledgers: Mapping[str, str]) -> dict[str, Any]:
    with_vat = line.vat_code is not None and line.vat_amount_minor is not None
    return _given(
        {
            "GLAccount": ledgers[line.gl_account],
            "AmountFC": amount(line.amount_minor, command.decimals),
            "Account": customer_id if line.is_receivable else None,
            "Date": odata.day_out(command.entry_date),
            "Description": general_description(line, command.your_ref),
            "Notes": line.notes,
            "VATCode": line.vat_code,
            "AmountVATFC": amount(line.vat_amount_minor or 0, command.decimals) if with_vat else None,
            "CostCenter": line.cost_center,
            "CostUnit": line.cost_unit,
            "Quantity": line.quantity,
        }
    )


def _rate(command: PostEntry, division_currency: str) -> Decimal | None:
    return command.exchange_rate if command.currency != division_currency else None


def _given(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def _cut(value: str) -> str:
    return value[:DESCRIPTION_LENGTH].rstrip()
