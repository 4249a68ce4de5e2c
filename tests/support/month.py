"""Playing the business month by the demo's own command, as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support import history_checker

from simulators.world.products import UNMAPPED_ITEM_PRICE

# The month's accounts, as the checker knows one of each: deferred revenue is revenue, and each rate of VAT has its own.
SAME = {"1650": "8000", "8010": "8000", "8020": "8000", "8050": "8000", "1501": "1500", "1510": "1500", "1511": "1500"}
PROMISED_ZERO = ("lost", "doubled", "unexplained_cents", "rate_limited", "error_blocks", "waiting")


def play(directory: Path, *arguments: str, documents: int, seconds: int = 420) -> dict[str, Any]:
    """Run the demo command in a directory of its own and return its report; fails when the books cannot be signed.

    The month is played in two seconds, which is as long as the services need for it anyway.
    """
    options = ("--directory", str(directory), "--documents", str(documents), "--play-seconds", "2")
    command = [sys.executable, "-m", "console", "demo", *options, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    return report_of(directory, done)


def report_of(directory: Path, done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The report of a demo that ended; fails when the books cannot be signed."""
    report = directory / "report.json"
    assert report.exists(), f"no report; the demo said:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    figures: dict[str, Any] = json.loads(report.read_text())
    assert done.returncode == 0, f"exit {done.returncode}: {json.dumps(figures, indent=1)[:3000]}\n{done.stdout[-2000:]}"
    assert {name: figures[name] for name in PROMISED_ZERO} == dict.fromkeys(PROMISED_ZERO, 0)
    assert figures["booked"] + figures["held"] + figures["set_aside"] == figures["documents"]
    wrong = judged(json.loads((directory / "books.json").read_text()))
    assert not wrong, "\n".join(wrong)
    return figures


class Kept:
    """Chargebee's resources as the demo left them."""

    def __init__(self, resources: dict[str, list[dict[str, Any]]]) -> None:
        self._resources = resources

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Those of a kind."""
        return self._resources[kind]


def judged(books: dict[str, Any]) -> list[str]:
    """What the history checker says of both books, beside the comparison that the demo prints itself."""
    for entry in books["exact"]["entries"]:
        for line in entry["lines"]:
            line["gl_account"] = SAME.get(line["gl_account"], line["gl_account"])
    seen = [history_checker.Seen(*(row[name] for name in history_checker.Seen._fields)) for row in books["documents"]]
    return history_checker.check(Kept(books["chargebee"]), books["exact"], seen, reasons=_reasons)


def _reasons(source: Mapping[str, Any], _at: int) -> frozenset[str]:
    """The product that came up during the month has no mapping; everything else must be booked."""
    is_unmapped = any(line["entity_id"] == UNMAPPED_ITEM_PRICE for line in source.get("line_items", ()))
    return frozenset({"no_revenue_account"} if is_unmapped else ())
