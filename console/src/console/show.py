"""How the command line puts things before people: tables and sentences."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from console.doctor_in_dutch import subject_in_dutch
from console.folding import KINDS, STATES
from console.sentences import Language, describe
from console.words import named, say, told
from contracts.topology import Topology

if TYPE_CHECKING:
    from console.doctor import Finding


UNBROKEN = 100_000  # characters, so that a program that reads a table finds each row on a line of its own


def screen() -> Console:
    """Return standard output to print on; where it is no terminal, and COLUMNS says nothing, tables take the width they need."""
    # Names of products and messages of Exact have brackets and colons in them, which are no markup.
    made = Console(markup=False, emoji=False, highlight=False)
    if not made.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        made.width = UNBROKEN
    return made


def money(amount_minor: int, decimals: int, currency: str) -> str:
    """Write an amount with its currency: EUR 1,234.56."""
    whole, rest = divmod(abs(amount_minor), 10**decimals)
    fraction = f".{rest:0{decimals}d}" if decimals else ""
    return f"{currency} {'-' if amount_minor < 0 else ''}{whole:,}{fraction}"


def amount_of(row: dict[str, Any]) -> str:
    """Write what a document changes a debt by; a dash for what is nobody's debt, such as a payout."""
    if not row["total_minor"] and not row["customer_id"]:
        return "-"
    return money(row["total_minor"], row["decimals"], row["currency"])


def summary(out: Console, counts: dict[str, Any], lang: Language) -> None:
    """Show how many documents stand how, and how Exact is connected."""
    table = Table(title=say("Documents", lang), title_justify="left")
    table.add_column(say("kind", lang))
    for state in STATES:
        table.add_column(named(state, lang), justify="right")
    for kind in KINDS:
        row = counts["kinds"].get(kind, {})
        table.add_row(named(kind, lang), *(str(row.get(state, 0)) for state in STATES))
    out.print(table)
    if counts["reversals"]:
        words = ", ".join(f"{count} {named(state, lang)}" for state, count in counts["reversals"].items())
        out.print(f"  {say('reversals', lang)}: {words}", soft_wrap=True)
    for reason in counts["reasons"]:
        out.print(f"  {named(reason['state'], lang)}: {reason['count']} x {reason['code']}", soft_wrap=True)
    for code, count in counts["receipts"].items():
        is_recorded = code == "recorded"
        words = say("recorded in Chargebee", lang) if is_recorded else say("not recorded in Chargebee: {code}", lang, code=code)
        out.print(f"  {say('receipts', lang)}: {count} x {words}", soft_wrap=True)
    for code, count in counts["pdfs"].items():
        words = named(code, lang) if code in ("attached", "wanted") else say("not attached: {code}", lang, code=code)
        out.print(f"  {say('PDFs', lang)}: {count} x {words}", soft_wrap=True)
    for connection in counts["connections"]:
        division = say("division {division}", lang, division=connection["division"])
        how = connection["state"] if lang == "en" else named(connection["state"], lang)
        out.print(f"  {division}: {how} ({told(connection, 'reason', lang)})", soft_wrap=True)


def documents(out: Console, rows: Sequence[dict[str, Any]], lang: Language, *, held: bool) -> None:
    """List documents with their reasons."""
    if not rows:
        out.print(say("nothing is held" if held else "no document fits", lang))
        return
    table = Table(title=say("Held, and what to do" if held else "Documents", lang), title_justify="left")
    for column in ("document", "date", "amount", "state", "why", "what to do"):
        table.add_column(say(column, lang), overflow="fold")
    for row in rows:
        amount = amount_of(row)
        why = told(row, "sentence", lang)
        if not why and row["entry_number"]:
            why = say("entry {number}, journal {journal}", lang, number=row["entry_number"], journal=row["journal"])
        why = " ".join(filter(None, (why, told(row, "receipt_sentence", lang))))
        state, action = named(row["state"], lang), told(row, "action", lang)
        table.add_row(_name(row, lang), row["document_date"] or "", amount, state, why, action)
    out.print(table)


def _name(row: dict[str, Any], lang: Language) -> str:
    return f"{named(row['kind'], lang)} {row['number']}" + (f" ({row['suffix']})" if row["suffix"] else "")


def bad_debts(out: Console, rows: Sequence[dict[str, Any]], lang: Language) -> None:
    """List the VAT of written-off debts by the day on which it comes back."""
    if not rows:
        out.print(say("no debt was written off", lang))
        return
    table = Table(title=say("VAT of written-off debts", lang), title_justify="left")
    for column in ("write-off", "customer", "reclaim on", "VAT", "state", "what is known"):
        table.add_column(say(column, lang), overflow="fold")
    for row in rows:
        amount = "?" if row["vat_minor"] is None else money(row["vat_minor"], row["decimals"], row["currency"])
        state, why = named(row["state"], lang), told(row, "sentence", lang)
        table.add_row(row["number"], row["customer_id"], row["reclaim_on"] or "", amount, state, why)
    out.print(table)


def moves(out: Console, rows: Sequence[dict[str, Any]], missed: Sequence[dict[str, Any]], lang: Language) -> None:
    """List what was moved, and the VAT that missed a filed return."""
    if not rows:
        out.print(say("everything is reported in the period of its date", lang))
        return
    table = Table(title=say("Reported in another period than their date says", lang), title_justify="left")
    for column in ("document", "date", "from", "to", "what", "amount", "VAT", "filed return"):
        table.add_column(say(column, lang), overflow="fold", justify="right" if column in ("amount", "VAT") else "left")
    for row in rows:
        amount, vat = (money(row[each], row["decimals"], row["currency"]) for each in ("amount_minor", "vat_minor"))
        moved = (row["document_date"] or "", row["from_period"], row["to_period"], named(row["what"], lang))
        table.add_row(_name(row, lang), *moved, amount, vat if row["vat"] else "", row["filed_return"] or "")
    out.print(table)
    for total in missed:
        words = say(
            "VAT after filing: {amount} of {documents} documents is of return {filed}, which {division} filed without it.",
            lang,
            amount=money(total["vat_minor"], total["decimals"], total["currency"]),
            documents=total["documents"],
            filed=total["filed_return"],
            division=say("division {division}", lang, division=total["division"]),
        )
        out.print(f"  {words}", soft_wrap=True)


def life(out: Console, found: Sequence[dict[str, Any]], language: Language) -> None:
    """Tell what happened to a document, step by step."""
    for row in found:
        name = f"{named(row['kind'], language)} {row['number']}" + (f" / {row['suffix']}" if row["suffix"] else "")
        values = {"name": name, "amount": amount_of(row), "customer": row["customer_id"], "state": named(row["state"], language)}
        # A payout or an exchange difference is nobody's debt: its amounts stand in what was booked.
        heading = "{name}: {amount}, customer {customer}, {state}" if row["customer_id"] else "{name}: {state}"
        out.print(say(heading, language, **values), style="bold", soft_wrap=True)
        for step in row["timeline"]:
            sentence = describe(step["type"], step["details"], language)
            out.print(f"  {step['time'][:19].replace('T', ' ')} UTC  {sentence}", soft_wrap=True)
            told = step["details"]
            for words in (told.get("explanation_nl") if language == "nl" else None) or told.get("explanation", ()):
                out.print(f"      {words}", soft_wrap=True)


def findings(out: Console, found: Sequence[Finding], lang: Language) -> None:
    """Show what the doctor found."""
    for finding in found:
        mark, style = ("ok  ", "green") if finding.is_looked_at else ("--  ", "yellow")
        mark, style = (mark, style) if finding.is_well else ("FIX ", "red")
        advice = f" -> {finding.advice}" if finding.advice else ""
        subject = subject_in_dutch(finding.subject) if lang == "nl" else finding.subject
        out.print(f"{mark}{subject}: {finding.sentence}{advice}", style=style, soft_wrap=True)


def trials(out: Console, report: dict[str, Any]) -> None:
    """Show what a trial found, and what it left behind."""
    for each in report["trials"]:
        out.print(f"{each['endpoint']}: {each['sentence']}", soft_wrap=True)
    out.print(report["sentence"], soft_wrap=True)
    for each in report["left"]:
        out.print(f"  {each['endpoint']}(guid'{each['key']}'): {each['reason']}", style="red", soft_wrap=True)


def topology(out: Console, declared: Topology) -> None:
    """Show exchanges, queues and what they are bound to."""
    out.print(f"exchanges: {', '.join(declared.exchanges)}", soft_wrap=True)
    table = Table()
    for column in ("queue", "one consumer", "bound to", "retries after", "dead letters"):
        table.add_column(column, overflow="fold")
    for queue in declared.queues:
        bound = "\n".join(f"{binding.exchange} {binding.pattern}" for binding in queue.bindings)
        delays = ", ".join(f"{delay} s" for delay in queue.retry_delays_seconds)
        table.add_row(queue.name, "yes" if queue.single_active else "no", bound, delays, queue.dead_letters)
    out.print(table)
