"""Turns what both simulators and the connector's own projection say into the report of a rehearsal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

# What writes invoices and credit notes; an entry that holds many documents is counted by Exact's ledger.
SALES_CALLS = ("POST salesentry/SalesEntries", "POST salesinvoice/SalesInvoices", "POST salesinvoice/PrintedSalesInvoices")
VISIBLE_STATES = ("held", "set_aside", "waiting")


@dataclass(frozen=True)
class Evidence:
    """What was read at the end: Chargebee's documents, the connector's view of them, Exact's calls, both books compared."""

    documents: list[dict[str, Any]]
    projection: list[dict[str, Any]]
    calls: dict[str, Any]
    comparison: dict[str, Any]


@dataclass(frozen=True)
class Report:
    """The figures of a rehearsal; `passed` only when nothing was lost, doubled, unexplained or refused for its rate."""

    engine: str
    mode: str
    seed: int
    documents: int
    booked: int
    held: int
    set_aside: int
    waiting: int
    lost: int
    doubled: int
    unexplained_cents: int
    exact_calls: int
    pdf_calls: int
    pdfs_attached: int
    write_calls_per_invoice: float
    shared_entries: int
    calls_per_document: float
    rate_limited: int
    error_blocks: int
    calls_at_once: int
    budget_used_percent: float | None
    receipts_recorded: int
    seconds: float
    restarts: dict[str, int] = field(default_factory=dict)
    held_reasons: dict[str, int] = field(default_factory=dict)
    set_aside_reasons: dict[str, int] = field(default_factory=dict)
    by_kind: dict[str, dict[str, int]] = field(default_factory=dict)
    lost_documents: list[str] = field(default_factory=list)
    doubled_documents: list[str] = field(default_factory=list)
    differences: list[dict[str, Any]] = field(default_factory=list)
    held_documents: list[dict[str, str]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether a controller could sign: every document booked once or visible with its reason, to the cent."""
        return (self.lost, self.doubled, self.unexplained_cents, self.rate_limited, self.error_blocks) == (0, 0, 0, 0, 0)


def classify(evidence: Evidence) -> dict[tuple[str, str], str]:
    """Say of every Chargebee document what became of it: booked, held, set_aside, waiting or lost.

    Booked means that Exact shows it, not that the connector says so.
    """
    absent = {(row["kind"], row["number"]) for row in evidence.comparison["missing"]}
    seen = {(row["kind"], row["number"]): row["state"] for row in evidence.projection if not row.get("suffix")}
    verdicts = {}
    for document in evidence.documents:
        identity = (document["kind"], document["number"])
        state = seen.get(identity, "unseen")
        if document["expected"] == "book" and identity not in absent:
            verdicts[identity] = "booked"
        else:
            verdicts[identity] = state if state in VISIBLE_STATES else "lost"
    return verdicts


def _reasons(projection: Iterable[Mapping[str, Any]], state: str) -> dict[str, int]:
    return dict(Counter(str(row["code"]) for row in projection if row["state"] == state))


def pdfs_missing(evidence: Evidence) -> int:
    """Count the booked invoices and credit notes without their PDF; the mirror that takes one back has none."""
    sales = [row for row in evidence.projection if row["kind"] in ("invoice", "credit_note") and row["state"] == "booked"]
    return sum(row["pdf"] != "attached" and not row["suffix"].startswith("R") for row in sales)


def _pdf_calls(calls: Mapping[str, Any]) -> int:
    return sum(made for endpoint, made in calls["by_endpoint"].items() if " documents/" in endpoint)


def _budget_used_percent(calls: Mapping[str, Any]) -> float | None:
    """Return the share of the allowed calls used in the full windows of a backlog: all but the first and the last used one."""
    windows = [window for window in calls.get("per_window", []) if window["used"]]
    inner = windows[1:-1]
    allowed = sum(window["limit"] for window in inner)
    return round(100 * sum(window["used"] for window in inner) / allowed, 1) if allowed else None


def build(evidence: Evidence, *, engine: str, mode: str, seed: int, seconds: float, restarts: dict[str, int]) -> Report:
    """Count what happened."""
    verdicts = classify(evidence)
    counts = Counter(verdicts.values())
    by_kind: dict[str, dict[str, int]] = {}
    for (kind, _), verdict in sorted(verdicts.items()):
        by_kind.setdefault(kind, {}).setdefault(verdict, 0)
        by_kind[kind][verdict] += 1
    sales = sum(by_kind.get(kind, {}).get("booked", 0) for kind in ("invoice", "credit_note"))
    calls = evidence.calls
    comparison = evidence.comparison
    write_calls = sum(calls["by_endpoint"].get(endpoint, 0) for endpoint in SALES_CALLS) + comparison["shared_entries"]
    return Report(
        engine=engine,
        mode=mode,
        seed=seed,
        documents=len(evidence.documents),
        booked=counts["booked"],
        held=counts["held"],
        set_aside=counts["set_aside"],
        waiting=counts["waiting"],
        lost=counts["lost"],
        doubled=len(comparison["doubled"]),
        unexplained_cents=comparison["unexplained_cents"],
        exact_calls=calls["total"],
        pdf_calls=_pdf_calls(calls),
        pdfs_attached=sum(row["pdf"] == "attached" for row in evidence.projection),
        write_calls_per_invoice=round(write_calls / sales, 4) if sales else 0.0,
        shared_entries=comparison["shared_entries"],
        calls_per_document=round((calls["total"] - _pdf_calls(calls)) / counts["booked"], 4) if counts["booked"] else 0.0,
        rate_limited=calls["rate_limited"],
        error_blocks=calls["error_blocks"],
        calls_at_once=calls["concurrent_max"],
        budget_used_percent=_budget_used_percent(calls),
        receipts_recorded=comparison.get("receipts_recorded", 0),
        seconds=round(seconds, 1),
        restarts=restarts,
        held_reasons=_reasons(evidence.projection, "held"),
        set_aside_reasons=_reasons(evidence.projection, "set_aside"),
        by_kind=by_kind,
        lost_documents=[f"{kind} {number}" for (kind, number), verdict in verdicts.items() if verdict == "lost"],
        doubled_documents=[f"{row['kind']} {row['number']}" for row in comparison["doubled"]],
        differences=comparison["differences"],
        held_documents=[
            {"document": f"{row['kind']} {row['number']}", "code": str(row["code"]), "action": str(row["action"])}
            for row in evidence.projection
            if row["state"] == "held"
        ],
    )


def write(report: Report, path: Path) -> None:
    """Write the figures as JSON."""
    path.write_text(json.dumps({**asdict(report), "passed": report.passed}, indent=2, default=str) + "\n")


def show(report: Report, console: Console) -> None:
    """Print the tables that a controller reads."""
    kinds = Table(title="Chargebee documents, and what became of them in Exact Online", title_justify="left")
    kinds.add_column("document")
    columns = ("booked", "held", "set_aside", "waiting", "lost")
    for column in columns:
        kinds.add_column(column.replace("_", " "), justify="right")
    for kind, counts in report.by_kind.items():
        kinds.add_row(kind.replace("_", " "), *(str(counts.get(column, 0)) for column in columns))
    totals = (report.booked, report.held, report.set_aside, report.waiting, report.lost)
    kinds.add_row("all", *(str(total) for total in totals), style="bold")
    console.print(kinds)
    for held in report.held_documents:
        console.print(f"  held: {held['document']} ({held['code']}): {held['action']}", markup=False)
    figures = Table(title="Both books, and the calls it took", title_justify="left", show_header=False)
    budget = "-" if report.budget_used_percent is None else f"{report.budget_used_percent} % of the allowed calls in full windows"
    for label, value in (
        ("lost / doubled", f"{report.lost} / {report.doubled}"),
        ("difference between both books", f"{report.unexplained_cents / 100:.2f} unexplained"),
        ("bank payments recorded in Chargebee", str(report.receipts_recorded)),
        (
            "calls to Exact without PDFs",
            f"{report.exact_calls - report.pdf_calls} ({report.calls_per_document} per booked document)",
        ),
        ("calls for PDFs", f"{report.pdf_calls} for {report.pdfs_attached} PDFs"),
        ("write calls per invoice or credit note", f"{report.write_calls_per_invoice:.2f}"),
        ("refused for the rate (429) / error blocks", f"{report.rate_limited} / {report.error_blocks}"),
        ("budget used", budget),
        ("restarts after a crash", str(sum(report.restarts.values()))),
        ("time", f"{report.seconds} s on the {report.engine} engine"),
    ):
        figures.add_row(label, value)
    console.print(figures)
    for name in report.lost_documents:
        console.print(f"  LOST: {name}", style="red", markup=False)
    for difference in report.differences:
        console.print(f"  DIFFERENCE: {difference}", style="red", markup=False)
    console.print("passed" if report.passed else "FAILED", style="green" if report.passed else "red")
