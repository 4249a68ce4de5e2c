"""`kruispost webhooks`: how our subscriptions to Exact's webhooks stand, and when each was last heard. Makes no call."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.configuration import Configuration
from backbone.database import Database
from backbone.settings import Settings
from exact_writer.installation import do_in_the_writers_database
from exact_writer.subscriptions import standing, topics_of

OFF = "The writer subscribes to no webhooks: KRUISPOST_EXACT_WEBHOOK_URL is not set. It polls."
NOT_LOOKED = "The writer has not looked yet; it does once it is connected."


async def unsubscribed() -> tuple[str, str, str, list[tuple[str, str]]] | None:
    """For `kruispost doctor`: each division whose wanted topics are not all subscribed, and why; None when none are wanted.

    Raises KruispostError.
    """
    settings = Settings()
    if not _wanted(settings):
        return None
    wanted, found = await _standing(settings)
    missing: dict[tuple[int, str], list[str]] = {}
    for each in found:
        if each["topic"] in wanted and each["state"] != "subscribed":
            missing.setdefault((each["division"], each["reason"]), []).append(each["topic"])
    complaints = [
        (f"webhooks of division {division}", f"{', '.join(topics)}: not subscribed. {reason}".rstrip())
        for (division, reason), topics in sorted(missing.items())
    ]
    advice = "`kruispost webhooks` shows each topic; docs/operating.md says what they need"
    return "webhooks of Exact", "every topic is subscribed", advice, complaints


def tell_webhooks(*, as_json: bool) -> bool:
    """Print each division's topics; whether every wanted topic is subscribed. Raises KruispostError."""
    settings = Settings()
    wanted, found = asyncio.run(_standing(settings))
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


async def _standing(settings: Settings) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """The topics that are wanted, and how each topic of each division stands."""
    wanted = _wanted(settings)

    async def read(_: Database, connection: AsyncConnection, configuration: Configuration) -> list[dict[str, Any]]:
        found = []
        for division in configuration.divisions:
            known = {each["topic"]: each for each in await standing(connection, division)}
            unknown = {"state": "not_subscribed", "reason": NOT_LOOKED, "heard_at": None, "checked_at": None}
            found += [known.get(each, {"division": division, "topic": each, **unknown}) for each in sorted({*wanted, *known})]
        return found

    return wanted, await do_in_the_writers_database(read)


def _wanted(settings: Settings) -> tuple[str, ...]:
    return topics_of(settings.exact_webhook_topics) if settings.exact_webhook_url is not None else ()


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
