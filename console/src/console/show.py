"""How the command line puts things before people: tables and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from console.folding import KINDS, STATES
from console.sentences import Language, describe
from contracts.topology import Topology

if TYPE_CHECKING:
    from console.doctor import Finding


def money(amount_minor: int, decimals: int, currency: str) -> str:
    """Write an amount with its currency: EUR 1,234.56."""
    whole, rest = divmod(abs(amount_minor), 10**decimals)
    fraction = f".{rest:0{decimals}d}" if decimals else ""
    return f"{currency} {'-' if amount_minor < 0 else ''}{whole:,}{fraction}"


def summary(out: Console, counts: dict[str, Any]) -> None:
    """Show how many documents stand how, and how Exact is connected."""
    table = Table(title="Documents", title_justify="left")
    table.add_column("kind")
    for state in STATES:
        table.add_column(state.replace("_", " "), justify="right")
    for kind in KINDS:
        row = counts["kinds"].get(kind, {})
        table.add_row(kind.replace("_", " "), *(str(row.get(state, 0)) for state in STATES))
    out.print(table)
    if counts["reversals"]:
        words = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts["reversals"].items())
        out.print(f"  reversals: {words}", soft_wrap=True)
    for reason in counts["reasons"]:
        out.print(f"  {reason['state'].replace('_', ' ')}: {reason['count']} x {reason['code']}", soft_wrap=True)
    for outcome, count in counts["receipts"].items():
        words = "recorded in Chargebee" if outcome == "recorded" else f"not recorded in Chargebee: {outcome}"
        out.print(f"  receipts: {count} x {words}", soft_wrap=True)
    for outcome, count in counts["pdfs"].items():
        words = outcome if outcome in ("attached", "wanted") else f"not attached: {outcome}"
        out.print(f"  PDFs: {count} x {words}", soft_wrap=True)
    for connection in counts["connections"]:
        out.print(f"  division {connection['division']}: {connection['state']} ({connection['reason']})", soft_wrap=True)


def documents(out: Console, rows: Sequence[dict[str, Any]], *, held: bool) -> None:
    """List documents with their reasons."""
    if not rows:
        out.print("nothing is held" if held else "no document fits")
        return
    table = Table(title="Held, and what to do" if held else "Documents", title_justify="left")
    for column in ("document", "date", "amount", "state", "why", "what to do"):
        table.add_column(column, overflow="fold")
    for row in rows:
        name = f"{row['kind'].replace('_', ' ')} {row['number']}" + (f" ({row['suffix']})" if row["suffix"] else "")
        amount = money(row["total_minor"], row["decimals"], row["currency"])
        why = row["sentence"] or (f"entry {row['entry_number']}, journal {row['journal']}" if row["entry_number"] else "")
        why = " ".join(filter(None, (why, row["receipt_sentence"])))
        table.add_row(name, row["document_date"] or "", amount, row["state"].replace("_", " "), why, row["action"])
    out.print(table)


def bad_debts(out: Console, rows: Sequence[dict[str, Any]]) -> None:
    """List the VAT of written-off debts by the day on which it comes back."""
    if not rows:
        out.print("no debt was written off")
        return
    table = Table(title="VAT of written-off debts", title_justify="left")
    for column in ("write-off", "customer", "reclaim on", "VAT", "state", "what is known"):
        table.add_column(column, overflow="fold")
    for row in rows:
        amount = money(row["vat_minor"], row["decimals"], row["currency"])
        table.add_row(row["number"], row["customer_id"], row["reclaim_on"] or "", amount, row["state"], row["sentence"])
    out.print(table)


def moves(out: Console, rows: Sequence[dict[str, Any]], missed: Sequence[dict[str, Any]]) -> None:
    """List what was moved, and the VAT that missed a filed return."""
    if not rows:
        out.print("everything is reported in the period of its date")
        return
    table = Table(title="Reported in another period than their date says", title_justify="left")
    for column in ("document", "date", "from", "to", "what", "amount", "VAT", "filed return"):
        table.add_column(column, overflow="fold", justify="right" if column in ("amount", "VAT") else "left")
    for row in rows:
        name = f"{row['kind'].replace('_', ' ')} {row['number']}" + (f" ({row['suffix']})" if row["suffix"] else "")
        amount, vat = (money(row[each], row["decimals"], row["currency"]) for each in ("amount_minor", "vat_minor"))
        periods = (row["from_period"], row["to_period"], row["what"])
        table.add_row(name, row["document_date"] or "", *periods, amount, vat if row["vat"] else "", row["filed_return"] or "")
    out.print(table)
    for total in missed:
        amount = money(total["vat_minor"], total["decimals"], total["currency"])
        out.print(
            f"  VAT after filing: {amount} of {total['documents']} documents belongs to return {total['filed_return']}, which"
            f" division {total['division']} filed without it.",
            soft_wrap=True,
        )


def life(out: Console, found: Sequence[dict[str, Any]], language: Language) -> None:
    """Tell what happened to a document, step by step."""
    for row in found:
        name = f"{row['kind'].replace('_', ' ')} {row['number']}" + (f" / {row['suffix']}" if row["suffix"] else "")
        amount = money(row["total_minor"], row["decimals"], row["currency"])
        out.print(
            f"{name}: {amount}, customer {row['customer_id']}, {row['state'].replace('_', ' ')}", style="bold", soft_wrap=True
        )
        for step in row["timeline"]:
            sentence = describe(step["type"], step["details"], language)
            out.print(f"  {step['time'][:19].replace('T', ' ')} UTC  {sentence}", soft_wrap=True)
            for words in step["details"].get("explanation", ()):
                out.print(f"      {words}", soft_wrap=True)


def findings(out: Console, found: Sequence[Finding]) -> None:
    """Show what the doctor found."""
    for finding in found:
        mark, style = ("ok  ", "green") if finding.is_well else ("FIX ", "red")
        advice = f" -> {finding.advice}" if finding.advice else ""
        out.print(f"{mark}{finding.subject}: {finding.sentence}{advice}", style=style, soft_wrap=True)


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
