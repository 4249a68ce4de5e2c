"""`kruispost roles`: what to run in PostgreSQL so that each service sees its own tables and no others."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from backbone.roles import PREFIX, statements

Prefix = Annotated[str, typer.Option(help="what the roles' names begin with", metavar="NAME")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]


def roles(*, prefix: Prefix = PREFIX, as_json: AsJson = False) -> None:
    """Print the SQL that makes a database role for each service; run it as the owner of the tables, after `kruispost migrate`."""
    if not prefix.isidentifier() or not prefix.isascii() or prefix != prefix.lower():
        raise typer.BadParameter(f"{prefix} is not a name of small letters, digits and underscores, such as kruispost.")
    found = statements(prefix)
    if as_json:
        typer.echo(json.dumps({"statements": found}, indent=2))
    else:
        typer.echo("\n".join(f"{statement};" for statement in ("BEGIN", *found, "COMMIT")))
