"""`kruispost links`: documents that somebody else booked in Exact, and what a person says of them. Light: read for `--help`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mapper.commands import WRONG, AsJson, Division, Language, Site

Kind = Annotated[
    Literal["invoice", "credit_note", "payment", "refund"] | None, typer.Option(help="where several kinds have the number")
]
Wait = Annotated[float, typer.Option(min=0, help="seconds to wait for a fresh reading of Exact's ledger; 0: take what was read")]
Number = Annotated[str, typer.Argument(help="the number of the document")]
Who = Annotated[str, typer.Option(help="who decides")]
Because = Annotated[str, typer.Option("--why", help="why, for whoever asks later")]
links = typer.Typer(
    add_completion=False, help="Documents that Exact may have already, booked by somebody else: list, accept, book, import."
)


def _wish(division: int | None, site: str | None, kind: str | None, wait: float) -> Any:
    from mapper.links_command import Wish

    return Wish(division=division, site=site, kind=kind, patience_seconds=wait)


@links.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="what is linked as well")] = False,
    division: Division = None,
    site: Site = None,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """List what is not booked since Exact may have it already, with both sides. Exit code 1 while there is any."""
    from mapper.links_command import show

    held = show(_wish(division, site, None, 0.0), lang, everything=everything, as_json=as_json)
    raise typer.Exit(WRONG if held else 0)


@links.command()
def accept(
    number: Number,
    entry: Annotated[int, typer.Option(min=1, help="the number of the entry in Exact that the document is")],
    who: Who,
    why: Because,
    journal: Annotated[str, typer.Option(help="the journal of the entry, where several have its number")] = "",
    kind: Kind = None,
    division: Division = None,
    site: Site = None,
    wait: Wait = 300.0,
    lang: Language = "en",
) -> None:
    """Link a document to an entry of Exact's, whatever differs: nothing is posted. Exit code 1 where that cannot be."""
    from mapper.links_command import accept as run

    done = run(_wish(division, site, kind, wait), number, entry, journal, (who, why), lang)
    raise typer.Exit(0 if done else WRONG)


@links.command()
def book(
    number: Number,
    who: Who,
    why: Because,
    kind: Kind = None,
    division: Division = None,
    site: Site = None,
    lang: Language = "en",
) -> None:
    """Book a document although Exact has something like it: that is another one. Exit code 1 where it cannot be booked."""
    from mapper.links_command import book as run

    raise typer.Exit(0 if run(_wish(division, site, kind, 0.0), number, (who, why), lang) else WRONG)


@links.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV with the columns document, entry and amount; see docs/operating.md")],
    who: Who,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="read and check the file, and link nothing")] = False,
    division: Division = None,
    wait: Wait = 300.0,
    lang: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Link what a file says, all of it or, where a line is wrong, nothing. Given twice it links once."""
    from mapper.links_command import import_links

    import_links(_wish(division, None, None, wait), file, who, lang, dry_run=dry_run, as_json=as_json)
