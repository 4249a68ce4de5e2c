"""What the mapper adds to `kruispost`: `plan`. It reads the mapper's own tables; no service needs to run.

Light on purpose: `kruispost --help` imports this module for the first line of each command.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]
Language = Annotated[Literal["en", "nl"], typer.Option("--lang", help="en or nl")]
Division = Annotated[int | None, typer.Option(help="only this division")]
Site = Annotated[str | None, typer.Option(help="only this Chargebee site")]
WRONG = 1


def plan(
    number: Annotated[str | None, typer.Option(help="only the document with this number")] = None,
    division: Division = None,
    site: Site = None,
    customer: Annotated[str | None, typer.Option(help="only documents of this customer of Chargebee")] = None,
    state: Annotated[
        Literal["held", "waiting", "refused", "planned"] | None, typer.Option(help="only documents in this state")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="what is booked as well, as today's mapping would book it")] = False,
    limit: Annotated[int, typer.Option(min=0, help="show at most so many entries; the totals count all")] = 25,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Show what would be booked now, as journals in debit and credit. Writes nothing. Exit code 1 while something is held."""
    from mapper.plan_command import Wish, show_plan

    wish = Wish(number=number, division=division, site=site, customer=customer, state=state, everything=everything, limit=limit)
    raise typer.Exit(WRONG if show_plan(wish, lang, as_json=as_json) else 0)
