"""The check before a call: what the mirror already knows Exact would refuse costs no call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from contracts.commands import EntryLine, PostEntry
from exact_writer.account_mirror import AccountRecord
from exact_writer.master_records import MANDATORY, NOT_ALLOWED, Kind, Record
from exact_writer.mirror import Mirror
from exact_writer.payloads import CUSTOMER
from exact_writer.words import Told, say

JOURNAL_TYPES = {"sales": frozenset({20, 21}), "general": frozenset({90})}
DEBTORS: Final = 20  # the type of ledger on which Exact keeps what customers owe
REFERENCE_LENGTH: Final = 30
_WITHOUT_AMOUNT: Final = frozenset({"B", "N"})  # types of VAT codes that carry a base only, or nothing


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why an entry cannot be posted; `part` is the part of the mirror that may be out of date, or None."""

    code: str
    told: Told
    part: Kind | None = None


def check(command: PostEntry, mirror: Mirror) -> Problem | None:
    """The first thing that Exact would refuse, or None."""
    return (
        _check_itself(command)
        or _check_journal(command, mirror)
        or _check_currency(command, mirror)
        or _check_payment_condition(command, mirror)
        or next((problem for line in command.lines if (problem := _check_line(line, command, mirror))), None)
        or _check_period(command, mirror)
    )


async def after_reading(command: PostEntry, mirror: Mirror, planned_at: float) -> Problem | None:
    """What Exact would refuse, after the mirror was read again where that may help; raises what reading raises."""
    for part in parts_named(command, mirror.currency):
        if mirror.is_worth_reading(part, float("-inf")):
            await mirror.refresh(part)
    problem = check(command, mirror)
    while problem is not None and problem.part is not None and mirror.is_worth_reading(problem.part, planned_at):
        await mirror.refresh(problem.part)
        problem = check(command, mirror)
    return problem


async def of_accounts(command: PostEntry, account_ids: Sequence[str], mirror: Mirror, planned_at: float) -> Problem | None:
    """What Exact would refuse because of the accounts that an entry goes to; raises what reading raises."""
    problem = check_accounts(command, await mirror.accounts.get(account_ids))
    if problem is not None and problem.part is not None and mirror.is_worth_reading(problem.part, planned_at):
        await mirror.refresh(problem.part)
        problem = check_accounts(command, await mirror.accounts.get(account_ids))
    return problem


def check_accounts(command: PostEntry, accounts: Sequence[AccountRecord]) -> Problem | None:
    """The first of these accounts that Exact would refuse, or None; one that was made since the mirror was read is not there."""
    for account in accounts:
        if account.is_gone:
            name = f" {account.label}" if account.code else ""
            return Problem(code="account_gone", told=say("account_gone", label=name))
        if account.is_blocked:
            label = f"{account.code} {account.values.get('Name', '')}"
            return Problem(code="account_blocked", told=say("account_blocked", label=label), part="account")
        if command.kind == "sales" and account.status not in ("", CUSTOMER):
            told = say("not_a_customer", label=account.label, status=account.status)
            return Problem(code="not_a_customer", told=told, part="account")
    return None


def parts_named(command: PostEntry, currency: str) -> frozenset[Kind]:
    """The parts of the mirror that a command needs beyond those that are always there; `currency` is the division's."""
    found: set[Kind] = set()
    if any(line.cost_center for line in command.lines):
        found.add("cost_center")
    if any(line.cost_unit for line in command.lines):
        found.add("cost_unit")
    if command.payment_condition:
        found.add("payment_condition")
    if command.currency != currency:
        found.add("currency")
    return frozenset(found)


def period_of(command: PostEntry, mirror: Mirror) -> tuple[int, int] | None:
    """The period an entry goes to: the one it names, else that of its date."""
    if command.reporting_year is not None and command.reporting_period is not None:
        return command.reporting_year, command.reporting_period
    return mirror.period_of(command.journal, command.entry_date)


def _check_itself(command: PostEntry) -> Problem | None:
    if len(command.your_ref) > REFERENCE_LENGTH:
        told = say("reference_too_long", reference=command.your_ref, most=REFERENCE_LENGTH)
        return Problem(code="reference_too_long", told=told)
    with_vat = any(line.vat_code for line in command.lines)
    rest = sum(line.amount_minor for line in command.lines)
    if command.kind == "general" and not with_vat and rest != 0:
        return Problem(code="unbalanced", told=say("unbalanced", rest=rest))
    return None


def _check_journal(command: PostEntry, mirror: Mirror) -> Problem | None:
    journal = mirror.find("journal", command.journal)
    if journal is None:
        return Problem(code="unknown_journal", told=say("unknown_journal", code=command.journal), part="journal")
    if journal.type not in JOURNAL_TYPES[command.kind]:
        name = "no_sales_journal" if command.kind == "sales" else "no_general_journal"
        return Problem(code="wrong_journal_type", told=say(name, code=command.journal), part="journal")
    if journal.is_blocked:
        return Problem(code="blocked_journal", told=say("blocked_journal", code=command.journal), part="journal")
    if command.kind == "general" and not journal.allows_vat and any(line.vat_code for line in command.lines):
        return Problem(code="vat_not_allowed", told=say("vat_not_allowed", code=command.journal), part="journal")
    if journal.only_currency and journal.only_currency != command.currency:
        told = say("currency_not_allowed", code=command.journal, only=journal.only_currency, currency=command.currency)
        return Problem(code="currency_not_allowed", told=told, part="journal")
    return None


def _check_currency(command: PostEntry, mirror: Mirror) -> Problem | None:
    if command.currency == mirror.currency or mirror.find("currency", command.currency) is not None:
        return None
    return Problem(code="unknown_currency", told=say("unknown_currency", code=command.currency), part="currency")


def _check_payment_condition(command: PostEntry, mirror: Mirror) -> Problem | None:
    code = command.payment_condition
    if code is None or mirror.find("payment_condition", code) is not None:
        return None
    told = say("unknown_payment_condition", code=code)
    return Problem(code="unknown_payment_condition", told=told, part="payment_condition")


def _check_line(line: EntryLine, command: PostEntry, mirror: Mirror) -> Problem | None:
    ledger = mirror.find("ledger", line.gl_account)
    if ledger is None:
        return Problem(code="unknown_gl_account", told=say("unknown_gl_account", code=line.gl_account), part="ledger")
    if ledger.is_blocked:
        return Problem(code="blocked_gl_account", told=say("blocked_gl_account", code=line.gl_account), part="ledger")
    if ledger.type == DEBTORS and command.kind == "sales":
        return Problem(code="wrong_gl_account_type", told=say("debtors_on_sale", code=line.gl_account), part="ledger")
    if ledger.type == DEBTORS and not line.is_receivable:
        return Problem(code="customer_missing", told=say("customer_missing", code=line.gl_account), part="ledger")
    return (
        _check_vat(line, command, mirror)
        or _check_dimension(line, ledger, mirror, "cost_center")
        or _check_dimension(line, ledger, mirror, "cost_unit")
    )


def _check_vat(line: EntryLine, command: PostEntry, mirror: Mirror) -> Problem | None:
    code = line.vat_code
    if code is None:
        return None
    found = mirror.find("vat_code", code)
    if found is None:
        return Problem(code="unknown_vat_code", told=say("unknown_vat_code", code=code), part="vat_code")
    if found.is_blocked:
        return Problem(code="blocked_vat_code", told=say("blocked_vat_code", code=code), part="vat_code")
    if command.kind == "sales" and found.is_purchase_only:
        return Problem(code="vat_code_for_purchases", told=say("vat_code_for_purchases", code=code), part="vat_code")
    if found.vat_type == "I":
        return Problem(code="vat_code_inclusive", told=say("vat_code_inclusive", code=code), part="vat_code")
    if found.vat_type in _WITHOUT_AMOUNT and line.vat_amount_minor:
        told = say("vat_amount_not_allowed", code=code, type=found.vat_type)
        return Problem(code="vat_amount_not_allowed", told=told, part="vat_code")
    return None


def _check_dimension(line: EntryLine, ledger: Record, mirror: Mirror, kind: Kind) -> Problem | None:
    """Cost centre or cost unit: the ledger may want one, or none."""
    code, use = line.cost_center, ledger.cost_center_use
    if kind == "cost_unit":
        code, use = line.cost_unit, ledger.cost_unit_use
    if code is None:
        if use != MANDATORY:
            return None
        return Problem(code=f"{kind}_missing", told=say(f"{kind}_missing", ledger=line.gl_account), part="ledger")
    if mirror.find(kind, code) is None:
        return Problem(code=f"unknown_{kind}", told=say(f"unknown_{kind}", code=code), part=kind)
    if use == NOT_ALLOWED:
        return Problem(code=f"{kind}_not_allowed", told=say(f"{kind}_not_allowed", ledger=line.gl_account), part="ledger")
    return None


def _check_period(command: PostEntry, mirror: Mirror) -> Problem | None:
    if not mirror.has_periods(command.journal):
        return None
    period = period_of(command, mirror)
    if period is None:
        told = say("no_financial_year", day=command.entry_date.isoformat())
        return Problem(code="no_financial_year", told=told, part="period")
    year, number = period
    if not mirror.has_period(command.journal, year, number):
        return Problem(code="no_financial_year", told=say("no_period", period=number, year=year), part="period")
    if mirror.is_period_closed(command.journal, year, number):
        return Problem(code="period_closed", told=say("period_closed", period=number, year=year, journal=command.journal))
    return None
