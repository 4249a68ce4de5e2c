"""`kruispost webhooks`: how our subscriptions to Exact's webhooks stand, and when each was last heard. Makes no call."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.configuration import Configuration
from backbone.database import Database
from backbone.settings import Settings
from exact_writer.installation import in_the_writers_database
from exact_writer.subscriptions import standing, topics_of

OFF = "The writer subscribes to no webhooks: KRUISPOST_EXACT_WEBHOOK_URL is not set. It polls."
NOT_LOOKED = "The writer has not looked yet; it does once it is connected."


def tell_webhooks(*, as_json: bool) -> bool:
    """Print each division's topics; whether every wanted topic is subscribed. Raises KruispostError."""
    settings = Settings()
    wanted = topics_of(settings.exact_webhook_topics) if settings.exact_webhook_url is not None else ()

    async def read(_: Database, connection: AsyncConnection, configuration: Configuration) -> list[dict[str, Any]]:
        found = []
        for division in configuration.divisions:
            known = {each["topic"]: each for each in await standing(connection, division)}
            unknown = {"state": "not_subscribed", "reason": NOT_LOOKED, "heard_at": None, "checked_at": None}
            found += [known.get(each, {"division": division, "topic": each, **unknown}) for each in sorted({*wanted, *known})]
        return found

    found = in_the_writers_database(read)
    if as_json:
        typer.echo(json.dumps({"url": settings.exact_webhook_url, "topics": found}, indent=2, ensure_ascii=False))
    else:
        if not wanted:
            typer.echo(OFF)
        for each in found:
            heard = "never heard" if each["heard_at"] is None else f"last heard {_instant(each['heard_at'])}"
            sentence = f"{each['division']} {each['topic']:<22} {each['state'].replace('_', ' ')}, {heard}"
            typer.echo(f"{sentence}. {each['reason']}".rstrip())
    return all(each["state"] == "subscribed" for each in found if each["topic"] in wanted)


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
