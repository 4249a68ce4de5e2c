"""`kruispost drift`: what was changed or deleted in Exact, and what a person decides about it. Light: it is read for `--help`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from mapper.commands import WRONG, AsJson, Division, Language

DAYS = ["%Y-%m-%d"]
First = Annotated[datetime | None, typer.Option("--from", formats=DAYS, help="entries from this day on; else of the last year")]
Last = Annotated[datetime | None, typer.Option("--to", formats=DAYS, help="entries up to and with this day; else all")]
Wait = Annotated[float, typer.Option(min=0, help="seconds to wait for a fresh reading of Exact's ledger; 0: take what was read")]
Number = Annotated[str, typer.Argument(help="the reference of the entry, as `drift list` shows it")]
Who = Annotated[str, typer.Option(help="who decides")]
Because = Annotated[str, typer.Option("--why", help="why, for whoever asks later")]
drift = typer.Typer(
    add_completion=False, help="What was changed or deleted in Exact of our entries: list, accept, revert, learn."
)


def _wish(division: int | None, first: datetime | None, to: datetime | None, wait: float) -> Any:
    from mapper.drift_command import Wish

    span = (first.date() if first is not None else None, to.date() if to is not None else None)
    return Wish(division=division, first=span[0], last=span[1], patience_seconds=wait)


@drift.command("list")
def list_(
    first: First = None,
    to: Last = None,
    division: Division = None,
    wait: Wait = 300.0,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """List what nobody has decided about. Exit code 1 while there is any."""
    from mapper.drift_command import show

    raise typer.Exit(WRONG if show(_wish(division, first, to, wait), lang, as_json=as_json) else 0)


@drift.command()
def accept(
    number: Number,
    who: Who,
    why: Because,
    first: First = None,
    to: Last = None,
    division: Division = None,
    wait: Wait = 300.0,
    lang: Language = "en",
) -> None:
    """Let what was changed in Exact stand, with who said so and why. Exit code 1 where nothing was changed.

    It is no longer unexplained, until it is changed once more.
    """
    from mapper.drift_command import accept as run

    raise typer.Exit(0 if run(_wish(division, first, to, wait), number, who, why, lang) else WRONG)


@drift.command()
def revert(
    number: Number,
    who: Who,
    why: Because,
    yes: Annotated[bool, typer.Option("--yes", help="book it; without this it is only shown")] = False,
    first: First = None,
    to: Last = None,
    division: Division = None,
    wait: Wait = 300.0,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Take a change in Exact back by an entry of ours, or book again what was deleted. Exit code 1 where that cannot be."""
    from mapper.drift_command import revert as run

    done = run(_wish(division, first, to, wait), number, who, why, lang, install=yes, as_json=as_json)
    raise typer.Exit(0 if done else WRONG)


@drift.command()
def learn(
    number: Number,
    first: First = None,
    to: Last = None,
    division: Division = None,
    wait: Wait = 300.0,
    lang: Language = "en",
) -> None:
    """Print the rule that would have booked as somebody moved it. Changes nothing. Exit code 1 where no rule would."""
    from mapper.drift_command import learn as run

    raise typer.Exit(0 if run(_wish(division, first, to, wait), number, lang) else WRONG)
