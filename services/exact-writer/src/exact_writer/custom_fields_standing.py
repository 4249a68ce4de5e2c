"""For `kruispost doctor`: Exact's own custom fields that the mapping names and that some accounts lack. Makes no call."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.configuration import Configuration
from backbone.database import Database
from backbone.errors import ConfigurationError
from exact_writer import custom_fields
from exact_writer.installation import do_in_the_writers_database

WHAT = "custom fields in Exact"
ADVICE = (
    "correct customers.custom_fields, or the value in Chargebee; where the edition has none, use customers.account_fields "
    "(docs/bookkeeping.md)"
)


async def lacking() -> tuple[str, str, str, list[tuple[str, str]]] | None:
    """Each field that some accounts do not show, with the reason; None where the mapping names no such field.

    Raises KruispostError where the writer's database cannot be used.
    """

    async def read(_: Database, connection: AsyncConnection, configuration: Configuration) -> list[tuple[str, str]] | None:
        divisions = {number: each.customers.custom_fields for number, each in configuration.divisions.items()}
        if not any(divisions.values()):
            return None
        return [
            (f"custom field {name} of division {number}", f"accounts without it: {accounts}. {reason}")
            for number, named in sorted(divisions.items())
            for name, reason, accounts in await custom_fields.complaints(connection, number)
            if name in named
        ]

    try:
        found = await do_in_the_writers_database(read)
    except ConfigurationError:
        return None  # it is read and told elsewhere
    return None if found is None else (WHAT, "Exact took every value so far", ADVICE, found)
