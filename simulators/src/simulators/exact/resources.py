from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from simulators.exact import (
    bank_entries,
    custom_fields,
    documents,
    items,
    journal_entries,
    master_data,
    sales_changes,
    sales_entries,
    sales_invoices,
)
from simulators.exact.receivables import OPEN, TERMS
from simulators.exact.wire import Row
from simulators.exact.world import Division

Create = Callable[[Division, Row], Row]
Change = Callable[[Division, Row, Row], None]
Delete = Callable[[Division, Row], None]

_CODED = (
    "financial/GLAccounts",
    "financial/Journals",
    "vat/VATCodes",
    "cashflow/PaymentConditions",
    "hrm/Costcenters",
    "hrm/Costunits",
)


def _coded_create(table: str) -> Create:
    return lambda division, body: master_data.create_coded(division, table, body)


def _coded_change(table: str) -> Change:
    return lambda division, row, body: master_data.change_coded(division, table, row, body)


def _plain_delete(table: str, entity_type: int | None = None) -> Delete:
    return lambda division, row: division.delete(table, row["ID"], entity_type)


def _plain_change(table: str, key: str = "ID") -> Change:
    return lambda division, row, body: _write(division, table, row[key], body, key)


def _write(division: Division, table: str, row_key: Any, body: Row, key: str) -> None:
    division.update(table, row_key, {name: value for name, value in body.items() if name != key})


CREATE: dict[str, Create] = {
    "crm/Accounts": master_data.create_account,
    "crm/Contacts": master_data.create_contact,
    "financial/ExchangeRates": master_data.create_exchange_rate,
    "salesentry/SalesEntries": sales_entries.create,
    "salesentry/SalesEntryLines": sales_changes.add_line,
    "generaljournalentry/GeneralJournalEntries": journal_entries.create,
    "salesinvoice/SalesInvoices": sales_invoices.create,
    "salesinvoice/PrintedSalesInvoices": sales_invoices.print_invoice,
    "logistics/Items": items.create,
    "financialtransaction/BankEntries": bank_entries.create,
    "documents/Documents": documents.create_document,
    "documents/DocumentAttachments": documents.create_attachment,
    custom_fields.UPDATE: custom_fields.update,
    **{table: _coded_create(table) for table in _CODED},
}

CHANGE: dict[str, Change] = {
    "crm/Accounts": master_data.change_account,
    "crm/Contacts": _plain_change("crm/Contacts"),
    "financial/ExchangeRates": _plain_change("financial/ExchangeRates"),
    "salesentry/SalesEntries": sales_changes.change,
    "salesentry/SalesEntryLines": sales_changes.change_line,
    "salesinvoice/SalesInvoices": sales_invoices.change,
    "logistics/Items": items.change,
    "documents/Documents": _plain_change("documents/Documents"),
    "cashflow/Receivables": _plain_change(TERMS),
    **{table: _coded_change(table) for table in _CODED if table != "cashflow/PaymentConditions"},
}

DELETE: dict[str, Delete] = {
    "crm/Accounts": master_data.delete_account,
    "crm/Contacts": _plain_delete("crm/Contacts", master_data.ENTITY_CONTACTS),
    "financial/ExchangeRates": _plain_delete("financial/ExchangeRates"),
    "financial/GLAccounts": _plain_delete("financial/GLAccounts", master_data.ENTITY_GL_ACCOUNTS),
    "salesentry/SalesEntries": sales_changes.delete,
    "salesentry/SalesEntryLines": sales_changes.delete_line,
    "salesinvoice/SalesInvoices": sales_invoices.delete,
    "generaljournalentry/GeneralJournalEntries": journal_entries.delete,
    "financialtransaction/BankEntries": bank_entries.delete,
    "logistics/Items": items.delete,
    "documents/Documents": documents.delete_document,
    "documents/DocumentAttachments": _plain_delete("documents/DocumentAttachments", documents.ENTITY_ATTACHMENTS),
    "webhooks/WebhookSubscriptions": _plain_delete("webhooks/WebhookSubscriptions"),
    "hrm/Costcenters": _plain_delete("hrm/Costcenters"),
    "hrm/Costunits": _plain_delete("hrm/Costunits"),
}


def view(division: Division, uri: str) -> Iterable[Row] | None:
    """Rows of endpoints that have no table of their own; None for those that have one."""
    if uri == "system/Divisions":
        granted = division.settings.granted_divisions
        known = division.world.divisions.values()
        return [_division_row(each) for each in known if granted is None or each.code in granted]
    if uri == "read/financial/ReceivablesList":
        return _receivables(division)
    if uri == "financialtransaction/BankEntries":
        return _bank_entries(division)
    if uri == "documents/DocumentTypes":
        return [
            {"ID": number, "Description": text, "DocumentIsCreatable": True, "DocumentIsViewable": True}
            for number, text in documents.TYPES.items()
        ]
    return None


def _bank_entries(division: Division) -> list[Row]:
    """Entries of payment-service journals (type 16) are not returned by BankEntries, as users report."""
    psp = {row["Code"] for row in division.table("financial/Journals") if row["Type"] == 16}
    return [row for row in division.table(bank_entries.ENTRIES) if row["JournalCode"] not in psp]


def _receivables(division: Division) -> list[Row]:
    rows = []
    for term in division.table(TERMS):
        if term["Status"] != OPEN:
            continue
        rows.append(
            {
                "HID": division.table(TERMS).place(term["ID"]) + 1,
                "Id": term["ID"],
                "AccountCode": term["AccountCode"],
                "AccountId": term["Account"],
                "AccountName": term["AccountName"],
                "Amount": term["AmountDC"] * division.settings.receivable_sign,
                "AmountInTransit": Decimal(0),
                "CurrencyCode": term["Currency"],
                "Description": term.get("Description"),
                "DueDate": term["DueDate"],
                "EntryNumber": term["EntryNumber"],
                "InvoiceDate": term["InvoiceDate"],
                "InvoiceNumber": term.get("InvoiceNumber"),
                "JournalCode": term["Journal"],
                "JournalDescription": term["JournalDescription"],
                "YourRef": term.get("YourRef"),
            }
        )
    return rows


def _division_row(division: Division) -> Row:
    first = next(iter(division.world.divisions.values()))
    return {
        "Code": division.code,
        "Hid": division.code,
        "Description": division.description,
        "Currency": division.currency,
        "Country": "NL",
        "Legislation": "NL",
        "Status": 1,
        "BlockingStatus": 0,
        "DivisionMoveDate": division.move_date,
        "Current": division is first,
        "IsMainDivision": division is first,
    }


def me(division: Division) -> Row:
    """The connected user; CurrentDivision is the first one, granted or not."""
    world = division.world
    language = world.settings.language
    return {
        "UserID": world.user_id,
        "CurrentDivision": division.code,
        "AccountingDivision": division.code,
        "FullName": "Kruispost Koppeling",
        "UserName": world.settings.user_name,
        "Email": "koppeling@example.com",
        "Language": language,
        "LanguageCode": language,
        "Legislation": 1,
        "PackageCode": "EOL-PREMIUM",
        "ServerTime": world.now().replace(microsecond=0).isoformat(),
        "ServerUtcOffset": Decimal(3600),
    }
