"""The commands of the writer: `forecast`, `webhooks`, and those that write into its journal, such as `pdf` and `withdraw`.

Light on purpose: `kruispost --help` imports this module for the first line of each command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

WRONG, IMPOSSIBLE = 1, 2


def pdf(
    number: Annotated[str, typer.Argument(help="the number of an invoice or credit note, as Exact shows it")],
    division: Annotated[int | None, typer.Option(help="only the booking in this division")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Ask for Chargebee's PDF of a booked document to be attached in Exact. Exit code 1 when nothing is booked so."""
    from exact_writer.asking import ask_for_pdf

    _tell(ask_for_pdf, number, division, f"No invoice or credit note is booked under {number}.", as_json=as_json)


def hurry(
    number: Annotated[str, typer.Argument(help="the number of a document that waits to be booked")],
    division: Annotated[int | None, typer.Option(help="only in this division")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Let a document that waits go to Exact before all others. Exit code 1 when nothing of that number is there."""
    from exact_writer.asking import ask_to_hurry

    _tell(ask_to_hurry, number, division, f"No command for {number} has reached the writer.", as_json=as_json)


def withdraw(
    number: Annotated[str | None, typer.Argument(help="only what waits under this number; all without it")] = None,
    history: Annotated[bool, typer.Option("--history", help="only history, not what came in lately")] = False,
    division: Annotated[int | None, typer.Option(help="only this division")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="take it back; without it, say how much it would be")] = False,
    lang: Annotated[str, typer.Option(help="en or nl")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Take back what waits and was never sent, to be decided anew under a changed mapping. Exit code 1 when nothing is."""
    from backbone.errors import KruispostError
    from exact_writer.withdrawing import Wish, tell_withdrawn

    wish = Wish(number=number, history=history, division=division)
    try:
        found = tell_withdrawn(wish, "nl" if lang == "nl" else "en", install=yes, as_json=as_json)
    except KruispostError as error:
        typer.echo(error.sentence, err=True)
        raise typer.Exit(IMPOSSIBLE) from error
    raise typer.Exit(0 if found else WRONG)


def forecast(
    division: Annotated[int | None, typer.Option(help="only this division")] = None,
    per_day: Annotated[
        int | None, typer.Option(min=0, help="documents that come in a day, in place of what the last days showed")
    ] = None,
    lang: Annotated[str, typer.Option(help="en or nl")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Say how many calls to Exact the queue needs, when it is empty, and what each choice would change.

    Exit code 1 when a division is not done within a year.
    """
    from backbone.errors import KruispostError
    from exact_writer.forecast_command import tell_forecast

    try:
        ends = tell_forecast(division, per_day, lang, as_json=as_json)
    except KruispostError as error:
        typer.echo(error.sentence, err=True)
        raise typer.Exit(IMPOSSIBLE) from error
    raise typer.Exit(0 if ends else WRONG)


def webhooks(as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False) -> None:
    """Say which of Exact's webhooks are subscribed and when each was last heard. Exit code 1 when a wanted one is missing."""
    from backbone.errors import KruispostError
    from exact_writer.webhooks_command import tell_webhooks

    try:
        is_well = tell_webhooks(as_json=as_json)
    except KruispostError as error:
        typer.echo(error.sentence, err=True)
        raise typer.Exit(IMPOSSIBLE) from error
    raise typer.Exit(0 if is_well else WRONG)


def restored(
    division: Annotated[int | None, typer.Option(help="only this division")] = None,
    hours: Annotated[
        float, typer.Option(min=0, help="how long everything new is looked for in Exact before it is posted")
    ] = 24.0,
    wait: Annotated[
        float, typer.Option(min=0, help="seconds to wait for a fresh reading of Exact's ledger; 0: read nothing, before a login")
    ] = 600.0,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """After an older backup was restored: look for each entry in Exact before it is posted, so that none is booked twice.

    Reads Exact's ledger, a call for a thousand lines. What it shows is adopted without a call, the rest costs one more.
    Give it with --wait 0 before a writer is started, and again once it is connected: a connected writer posts what waits.
    """
    import json

    from backbone.errors import KruispostError
    from exact_writer.restored import doubt_all

    try:
        found = doubt_all(division, hours, wait)
    except KruispostError as error:
        typer.echo(error.sentence, err=True)
        raise typer.Exit(IMPOSSIBLE) from error
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for each in found:
        typer.echo(
            f"Division {each['division']}: {each['waiting']} entries that wait are looked for first, and so is what comes up to "
            f"{each['until']}."
        )


def _tell(
    ask: Callable[[str, int | None], list[dict[str, Any]]], number: str, division: int | None, nothing: str, *, as_json: bool
) -> None:
    import json

    from backbone.errors import KruispostError

    try:
        found = ask(number, division)
    except KruispostError as error:
        typer.echo(error.sentence, err=True)
        raise typer.Exit(IMPOSSIBLE) from error
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif not found:
        typer.echo(nothing)
    for each in found if not as_json else ():
        typer.echo(f"{number} in division {each['division']}: {each['sentence']}")
    raise typer.Exit(0 if found else WRONG)
