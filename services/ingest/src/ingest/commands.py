"""The commands of ingest at the command line; what they need to answer is imported where it is used."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

WRONG = 1


def backfill(
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="the first day, by the date of the documents")
    ] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="the last day (today)")] = None,
    site: Annotated[str | None, typer.Option(help="only this Chargebee site")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="fetch what the plan names; without it nothing is written")] = False,
    status: Annotated[bool, typer.Option("--status", help="say how far the one is that was begun last")] = False,
    pause: Annotated[
        bool, typer.Option("--pause", help="stop fetching after the page at hand, and let history that waits be booked later")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="go on with what was paused, broken off or killed")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Fetch documents of the past from Chargebee: a plan first, --yes does it. Exit code 1 when something could not be stored.

    How far it is, is kept: the same range given again goes on where it was, and --resume with what was begun last. While it is
    paused, history is not booked either. Exit code 1 also for one that is paused meanwhile, and where there is none to tell of.
    """
    from ingest import backfill_command as command

    if sum((first is not None, status, pause, resume)) != 1:
        raise typer.BadParameter("say which: --from and a day, --status, --pause or --resume")
    if status:
        raise typer.Exit(0 if command.show_status(site, as_json=as_json) else WRONG)
    if pause:
        command.pause(site)
        raise typer.Exit(0)
    wish = command.Wish(
        first=first.date() if first is not None else None,
        last=last.date() if last is not None else None,
        site=site,
        is_confirmed=yes or resume,
        resumes=resume,
    )
    raise typer.Exit(0 if command.run_backfill(wish, as_json=as_json) else WRONG)
