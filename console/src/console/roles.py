"""`kruispost roles`: what to run in PostgreSQL and RabbitMQ so that each service sees its own tables and queues and no others."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from backbone.broker_rights import permissions
from backbone.configuration import load_configuration
from backbone.roles import PREFIX, statements
from backbone.settings import Settings
from contracts.topology import topology

Prefix = Annotated[str, typer.Option(help="what the roles' names begin with", metavar="NAME")]
ForBroker = Annotated[bool, typer.Option("--broker", help="the permissions of RabbitMQ's users instead, for import_definitions")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]


def roles(*, prefix: Prefix = PREFIX, broker: ForBroker = False, as_json: AsJson = False) -> None:
    """Print the SQL that makes a database role for each service; run it as the owner of the tables, after `kruispost migrate`."""
    if not prefix.isidentifier() or not prefix.isascii() or prefix != prefix.lower():
        raise typer.BadParameter(f"{prefix} is not a name of small letters, digits and underscores, such as kruispost.")
    if broker:
        typer.echo(json.dumps({"permissions": broker_permissions(prefix)}, indent=2))
        return
    found = statements(prefix)
    if as_json:
        typer.echo(json.dumps({"statements": found}, indent=2))
    else:
        typer.echo("\n".join(f"{statement};" for statement in ("BEGIN", *found, "COMMIT")))


def broker_permissions(users: str) -> list[dict[str, str]]:
    """Return the permissions for the divisions of kruispost.yaml, in the virtual host of the broker's address."""
    settings = Settings()
    divisions = load_configuration(settings.config).divisions
    return permissions(topology(divisions), vhost=vhost_of(settings.amqp_url), users=users, prefix=settings.amqp_prefix)


def vhost_of(url: str | None) -> str:
    """Return the virtual host of an address, which is / where it names none."""
    return unquote(urlsplit(url).path[1:]) or "/" if url else "/"
