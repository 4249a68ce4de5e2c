"""Looking Exact up after an outcome that is not known: by $filter, since a key lookup that fails counts as an error."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from contracts.commands import PostEntry, SaveAccount
from exact_writer import odata, payloads
from exact_writer.client import Answer, Request
from exact_writer.client_keys import is_key, or_by_key, same_id

_SALES = "salesentry/SalesEntries"
_GENERAL = "generaljournalentry/GeneralJournalEntries"
_GENERAL_LINES = "generaljournalentry/GeneralJournalEntryLines"
_ACCOUNTS = "crm/Accounts"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A record that a lost call may have made; what follows its number is a sales entry's, as Exact has it.

    `is_ours` says that it bears a key of ours, or is told by its description and amount; a sales entry has only its reference.
    """

    exact_id: str
    number: int = 0
    currency: str | None = None
    rate: Any = None
    amount: Decimal | None = None
    account_id: str | None = None
    is_ours: bool = True


def request_for(command: PostEntry | SaveAccount, account_id: str | None, key: str | None) -> Request:
    """The reading call that shows whether a command was carried out.

    Accounts are found by their search code, sales entries by YourRef within the journal, general entries by the reference that
    stands in the description of each of their lines; and all of them by the `key` that they may have been given.
    """
    if isinstance(command, SaveAccount):
        by_code = f"SearchCode eq {odata.text(payloads.search_code(command.customer_ref))}"
        return _get(_ACCOUNTS, ("ID", "SearchCode"), by_code, key)
    if command.kind == "sales":
        # Not within the customer: an entry of the same reference and amount on another account is a question for a person.
        by_reference = f"YourRef eq {odata.text(command.your_ref)} and Journal eq {odata.text(command.journal)}"
        names = ("EntryID", "EntryNumber", "YourRef", "Currency", "Rate", "AmountFC", "Customer")
        return _get(_SALES, names, by_reference, key)
    within = f"substringof({odata.text(command.your_ref)},Description) eq true"
    if account_id is not None and any(line.is_receivable and line.customer_ref is None for line in command.lines):
        within = f"Account eq {odata.guid(account_id)} and {within}"
    return _get(_GENERAL_LINES, ("EntryID", "EntryNumber", "Description", "AmountFC"), within, key)


def found_in(command: PostEntry | SaveAccount, answer: Answer, key: str | None) -> list[Found]:
    """What the call found, each record once, and first what bears the key that we gave.

    Filters of Exact compare without case, so the rows are compared again.
    """
    found: dict[str, Found] = {}
    for row in odata.rows(answer.body):
        if isinstance(command, SaveAccount):
            if is_key(key, row["ID"]) or odata.code(row["SearchCode"]) == payloads.search_code(command.customer_ref):
                found[str(row["ID"])] = Found(exact_id=str(row["ID"]))
        elif is_key(key, row["EntryID"]) or _is_named(command, row):
            found[str(row["EntryID"])] = _found(command, row, is_ours=is_key(key, row["EntryID"]))
    return sorted(found.values(), key=lambda each: not is_key(key, each.exact_id))


def _found(command: PostEntry, row: dict[str, Any], *, is_ours: bool) -> Found:
    number = int(row["EntryNumber"] or 0)
    if command.kind != "sales":
        return Found(exact_id=str(row["EntryID"]), number=number)
    return Found(
        exact_id=str(row["EntryID"]),
        number=number,
        currency=row.get("Currency"),
        rate=row.get("Rate"),
        amount=Decimal(str(row.get("AmountFC") or 0)),
        account_id=str(row.get("Customer") or "") or None,
        is_ours=is_ours,
    )


def sorted_out(
    command: PostEntry | SaveAccount, found: Sequence[Found], account_id: str | None
) -> tuple[list[Found], list[Found]]:
    """Tell what a command made from what may be another document's: entries that agree with it in amount or account only.

    A sales entry is found by its reference alone, which a person, or a document of another site, may have given an entry as
    well. What agrees in neither is another's, and left out.
    """
    ours, doubtful = [], []
    for each in found:
        if each.is_ours or not isinstance(command, PostEntry):
            ours.append(each)
            continue
        same_amount = each.amount == payloads.total(command) and each.currency in (None, command.currency)
        same_account = account_id is None or each.account_id is None or same_id(each.account_id, account_id)
        if same_amount and same_account:
            ours.append(each)
        elif same_amount or same_account:
            doubtful.append(each)
    return ours, doubtful


def rate_request(entry_id: str) -> Request:
    """The reading call that shows at which rate Exact booked a general entry."""
    names = ("EntryID", "EntryNumber", "Currency", "ExchangeRate")
    return _get(_GENERAL, names, f"EntryID eq {odata.guid(entry_id)}", None)


def _is_named(command: PostEntry, row: dict[str, Any]) -> bool:
    if command.kind == "sales":
        return str(row["YourRef"] or "") == command.your_ref
    description = str(row["Description"] or "")
    sent = [line for line in command.lines if line.is_receivable]
    if not sent:
        return payloads.mentions(description, command.your_ref)
    # The customer's line as it was sent: a payment of an invoice, or a person's entry, may name the invoice as well.
    return any(
        description == payloads.general_description(line, command.your_ref)
        and Decimal(str(row["AmountFC"])) == payloads.amount(line.amount_minor, command.decimals)
        for line in sent
    )


def _get(endpoint: str, select: tuple[str, ...], filter_by: str, key: str | None) -> Request:
    """What is selected first is the key."""
    path = odata.query(endpoint, select=select, filter_by=or_by_key(select[0], key, filter_by))
    return Request(method="GET", endpoint=endpoint, path=path)
