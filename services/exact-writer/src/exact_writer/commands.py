"""What the writer adds to `kruispost`: `pdf`. It writes into the writer's own journal; a running writer takes it up from there.

Light on purpose: `kruispost --help` imports this module for the first line of each command.
"""

from __future__ import annotations

from typing import Annotated

import typer

WRONG, IMPOSSIBLE = 1, 2


def pdf(
    number: Annotated[str, typer.Argument(help="the number of an invoice or credit note, as Exact shows it")],
    division: Annotated[int | None, typer.Option(help="only the booking in this division")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of text")] = False,
) -> None:
    """Ask for Chargebee's PDF of a booked document to be attached in Exact. Exit code 1 when nothing is booked so."""
    import json

    from backbone.errors import KruispostError
    from exact_writer.asking import ask_for_pdf

    try:
        found = ask_for_pdf(number, division)
    except KruispostError as error:
        typer.echo(error.sentence, err=True)
        raise typer.Exit(IMPOSSIBLE) from error
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif not found:
        typer.echo(f"No invoice or credit note is booked under {number}.")
    for each in found if not as_json else ():
        typer.echo(f"{number} in division {each['division']}: {each['sentence']}")
    raise typer.Exit(0 if found else WRONG)
