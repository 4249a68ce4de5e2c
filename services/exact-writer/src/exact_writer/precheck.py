"""The check before a call: what the mirror already knows Exact would refuse costs no call."""

from __future__ import annotations

import msgspec

from contracts.commands import PostEntry
from exact_writer.mirror import Kind, Mirror

JOURNAL_TYPES = {"sales": frozenset({20, 21}), "general": frozenset({90})}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why an entry cannot be posted; `part` is the part of the mirror that may be out of date, or None."""

    code: str
    message: str
    part: Kind | None = None


def check(command: PostEntry, mirror: Mirror) -> Problem | None:
    """The first thing that Exact would refuse, or None."""
    return (
        _check_journal(command, mirror)
        or _check_payment_condition(command, mirror)
        or _check_lines(command, mirror)
        or _check_period(command, mirror)
    )


async def after_reading(command: PostEntry, mirror: Mirror, planned_at: float) -> Problem | None:
    """What Exact would refuse, after the mirror was read again where that may help; raises what reading raises."""
    for part in parts_named(command):
        if mirror.is_worth_reading(part, float("-inf")):
            await mirror.refresh(part)
    problem = check(command, mirror)
    while problem is not None and problem.part is not None and mirror.is_worth_reading(problem.part, planned_at):
        await mirror.refresh(problem.part)
        problem = check(command, mirror)
    return problem


def parts_named(command: PostEntry) -> frozenset[Kind]:
    """The parts of the mirror that a command needs beyond those that are always there."""
    found: set[Kind] = set()
    if any(line.cost_center for line in command.lines):
        found.add("cost_center")
    if any(line.cost_unit for line in command.lines):
        found.add("cost_unit")
    if command.payment_condition:
        found.add("payment_condition")
    return frozenset(found)


def period_of(command: PostEntry, mirror: Mirror) -> tuple[int, int] | None:
    """The period an entry goes to: the one it names, else that of its date."""
    if command.reporting_year is not None and command.reporting_period is not None:
        return command.reporting_year, command.reporting_period
    return mirror.period_of(command.journal, command.entry_date)


def _check_journal(command: PostEntry, mirror: Mirror) -> Problem | None:
    journal = mirror.find("journal", command.journal)
    if journal is None:
        return Problem(code="unknown_journal", message=f"Exact has no journal {command.journal}.", part="journal")
    if journal.type not in JOURNAL_TYPES[command.kind]:
        kind = "a sales journal" if command.kind == "sales" else "a general journal"
        return Problem(code="wrong_journal_type", message=f"Journal {command.journal} is not {kind} in Exact.", part="journal")
    if command.kind == "general" and not journal.allows_vat and any(line.vat_code for line in command.lines):
        return Problem(code="vat_not_allowed", message=f"Journal {command.journal} takes no VAT in Exact.", part="journal")
    return None


def _check_payment_condition(command: PostEntry, mirror: Mirror) -> Problem | None:
    code = command.payment_condition
    if code is None or mirror.find("payment_condition", code) is not None:
        return None
    return Problem(code="unknown_payment_condition", message=f"Exact has no payment condition {code}.", part="payment_condition")


def _check_lines(command: PostEntry, mirror: Mirror) -> Problem | None:
    for line in command.lines:
        ledger = mirror.find("ledger", line.gl_account)
        if ledger is None:
            return Problem(code="unknown_gl_account", message=f"Exact has no ledger {line.gl_account}.", part="ledger")
        if ledger.is_blocked:
            return Problem(code="blocked_gl_account", message=f"Ledger {line.gl_account} is blocked in Exact.", part="ledger")
        if line.vat_code is not None and mirror.find("vat_code", line.vat_code) is None:
            return Problem(code="unknown_vat_code", message=f"Exact has no VAT code {line.vat_code}.", part="vat_code")
        if line.cost_center is not None and mirror.find("cost_center", line.cost_center) is None:
            return Problem(
                code="unknown_cost_center", message=f"Exact has no cost centre {line.cost_center}.", part="cost_center"
            )
        if line.cost_unit is not None and mirror.find("cost_unit", line.cost_unit) is None:
            return Problem(code="unknown_cost_unit", message=f"Exact has no cost unit {line.cost_unit}.", part="cost_unit")
    return None


def _check_period(command: PostEntry, mirror: Mirror) -> Problem | None:
    period = period_of(command, mirror)
    if period is None or not mirror.is_period_closed(command.journal, *period):
        return None
    year, number = period
    return Problem(code="period_closed", message=f"Period {number} of {year} is closed for journal {command.journal} in Exact.")
