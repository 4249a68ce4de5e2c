"""The commands of ingest at the command line; what they need to answer is imported where it is used."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

WRONG = 1


def backfill(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="the first day, by the date of the documents")],
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="the last day (today)")] = None,
    site: Annotated[str | None, typer.Option(help="only this Chargebee site")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="fetch what the plan names; without it nothing is written")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Fetch documents of the past from Chargebee: a plan first, --yes does it. Exit code 1 when something could not be stored."""
    from ingest.backfill import Wish, run_backfill

    wish = Wish(first=first.date(), last=last.date() if last is not None else None, site=site, is_confirmed=yes)
    raise typer.Exit(0 if run_backfill(wish, as_json=as_json) else WRONG)
