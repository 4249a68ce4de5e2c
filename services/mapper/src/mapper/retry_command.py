"""`kruispost retry`: decides anew about documents that a person has mended the cause of in Exact or in Chargebee.

It writes into the mapper's own log, as the mapper does when it takes up a changed mapping; a running mapper carries it on.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import SystemClock
from backbone.command_database import check_installed, run_command
from backbone.configuration import load_configuration
from backbone.database import Database
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from contracts import chargebee
from mapper import tables
from mapper.configuration import mappings_of
from mapper.plan import ABOUT_ACCOUNTS, Cause, Planner
from mapper.reading import SERVICE
from mapper.store import OPEN_STATES, Key, Row, Store
from mapper.subjects import Subjects
from mapper.wording import Language, document_words

OF_CUSTOMERS = frozenset(("customer_refused", *ABOUT_ACCOUNTS))
NOW = {
    "planned": ("it goes to Exact", "gaat naar Exact"),
    "booked": ("booked already", "al geboekt"),
    "set_aside": ("set aside", "terzijde gelegd"),
    "held": ("still held", "nog vastgehouden"),
    "waiting": ("still waiting", "wacht nog"),
    "refused": ("still refused", "nog geweigerd"),
}


def retry_documents(number: str | None, code: str | None, site: str | None, lang: Language, *, as_json: bool) -> bool:
    """Decide anew and print what came of each; return whether none is held still. Raises KruispostError."""
    settings = Settings()
    check_installed(settings, SERVICE)
    found = run_command(_retry(settings, number, code, site), "The mapper's database cannot be used")
    if as_json:
        typer.echo(json.dumps({"documents": found}, indent=2, ensure_ascii=False))
    elif not found:
        typer.echo("Nothing is held so." if lang == "en" else "Er wordt niets zo vastgehouden.")
    for each in found if not as_json else ():
        words = NOW[each["state"]][lang == "nl"]
        reason = f" ({each['code']})" if each["code"] and each["state"] != "planned" else ""
        typer.echo(f"{document_words(each['kind'], each['number'], lang)}: {words}{reason}")
    return bool(found) and all(each["state"] not in ("held", "refused") for each in found)


async def _retry(settings: Settings, number: str | None, code: str | None, site: str | None) -> list[dict[str, Any]]:
    configuration, clock = load_configuration(settings.config), SystemClock()
    planner = Planner(Subjects(configuration, mappings_of(configuration)), clock, Telemetry())
    # The instant tells two retries apart, so that the second is not taken for a repetition of the first.
    # One document goes before all that waits; those of a reason may be thousands.
    cause = Cause(None, f"retry {clock.now().isoformat()} ", is_asked=number is not None)
    database = Database.open(settings, SERVICE)
    try:
        async with database.reading() as connection:
            keys = await _wanted(connection, number, code, site)
        found, sent = [], set[tuple[str, str, int]]()
        for key in keys:
            async with database.transaction() as connection:
                store = Store(database, connection)
                await store.share(alone=True)  # an upgrade of a shared lock could meet another and stop both
                row = await _again(store, planner, key, cause, sent)
            found.append({"site": key.site, "kind": key.kind, "number": key.number, "state": row.state, "code": row.code})
        return found
    finally:
        await database.close()


async def _wanted(connection: AsyncConnection, number: str | None, code: str | None, site: str | None) -> list[Key]:
    column = tables.documents.c
    conditions = [one == value for one, value in ((column.number, number), (column.code, code), (column.site, site)) if value]
    unbooked = sa.or_(column.state.in_(OPEN_STATES), sa.and_(column.state == "planned", column.code.in_(OF_CUSTOMERS)))
    names = (column.site, column.kind, column.number, column.suffix)
    rows = await connection.execute(sa.select(*names).where(unbooked, *conditions).order_by(*names))
    return [Key(*row) for row in rows]


async def _again(store: Store, planner: Planner, key: Key, cause: Cause, sent: set[tuple[str, str, int]]) -> Row:
    """Plan a document again, or send its customer again, once for all its documents, where Exact refused that one."""
    before = await store.document(key)
    if before is not None and before.state == "planned" and before.code in OF_CUSTOMERS and before.division is not None:
        customer = await store.resource(key.site, "customer", before.customer_id, chargebee.Customer)
        place = (key.site, before.customer_id, before.division)
        if customer is not None and place not in sent:
            sent.add(place)
            await planner.send_account(store, key.site, customer, before.division, cause, again=True)
    else:
        await planner.plan(store, key, cause, again=True)
    after = await store.document(key)
    if after is None:
        raise KeyError(key)
    return after
