"""`kruispost forecast`: how many calls the queue needs, when it is empty, and what each choice would change."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.clock import SystemClock
from backbone.configuration import Configuration
from backbone.database import Database
from backbone.errors import ConfigurationError
from backbone.settings import Settings
from exact_writer import outlook as looking
from exact_writer.connection_state import standing_still
from exact_writer.forecast import Forecast, Limits, Outlook, forecast
from exact_writer.history_pause import paused_sites
from exact_writer.installation import in_the_writers_database
from exact_writer.words import connection_in_dutch
from exact_writer.work_classes import ORDER

EXACT_ZONE: Final = ZoneInfo("Europe/Amsterdam")
CLASSES: Final = {
    "person": ("asked for by a person", "door iemand gevraagd"),
    "today": ("today's invoices", "facturen van vandaag"),
    "money": ("payments and receipts", "betalingen en ontvangsten"),
    "credit": ("credit notes", "creditnota's"),
    "master": ("customers", "klanten"),
    "backfill": ("history", "historie"),
    "pdf": ("PDFs, lists and custom fields", "pdf's, lijsten en vrije velden"),
}
CHOICES: Final = {
    "no_pdfs": ("without PDFs (pdf: {policy: never})", "zonder pdf's (pdf: {policy: never})"),
    "history_in_ledger": ("with history in mode ledger", "met historie in modus ledger"),
    "double_daily_calls": ("with twice the calls a day", "met tweemaal zoveel aanroepen per dag"),
}
WORDS: Final = {
    "head": (
        "division {division}: {calls:,.0f} calls to go, {done}",
        "administratie {division}: nog {calls:,.0f} aanroepen, {done}",
    ),
    "limits": (
        "  Exact allows {minute} a minute and {day:,} a day; {left:,.0f} are left today",
        "  Exact staat {minute} per minuut en {day:,} per dag toe; vandaag zijn er nog {left:,.0f}",
    ),
    "expected": (
        "  expected besides: {expected:,.0f} calls a day for what comes in",
        "  daarnaast verwacht: {expected:,.0f} aanroepen per dag voor wat binnenkomt",
    ),
    "choices": ("  what would change it:", "  wat daaraan zou veranderen:"),
    "never": ("not empty within a year", "niet leeg binnen een jaar"),
    "done": ("empty by {at:%Y-%m-%d %H:%M}", "leeg op {at:%Y-%m-%d %H:%M}"),
    "paused": (
        "  history of {sites} is paused: `kruispost backfill --resume`; reckoned as if it went on now",
        "  historie van {sites} is stilgezet: `kruispost backfill --resume`; gerekend alsof zij nu verder gaat",
    ),
    "still": (
        "  nothing is booked now: {reason}; reckoned as if Exact answered from now on",
        "  er wordt nu niets geboekt: {reason}; gerekend alsof Exact vanaf nu antwoordt",
    ),
    "shadow": (
        "  in shadow: nothing of it is written; it is what would go out from the day on which shadow is false",
        "  schaduw: niets daarvan wordt geschreven; dit zou uitgaan vanaf de dag waarop shadow false is",
    ),
    "nothing": ("nothing waits", "er wacht niets"),
}


def tell_forecast(division: int | None, per_day: int | None, lang: str, *, as_json: bool) -> bool:
    """Print the forecast of each division; whether all of them become empty. Raises KruispostError."""
    found = _read(division, per_day)
    if as_json:
        typer.echo(json.dumps({"divisions": found}, indent=2, ensure_ascii=False))
    else:
        for each in found:
            typer.echo("\n".join(_lines(each, 1 if lang == "nl" else 0)))
    return all(each["empty_at"] is not None for each in found)


def _read(division: int | None, per_day: int | None) -> list[dict[str, Any]]:
    settings, now = Settings(), SystemClock().now().timestamp()

    async def read(_: Database, connection: AsyncConnection, configuration: Configuration) -> list[dict[str, Any]]:
        if division is not None and division not in configuration.divisions:
            known = ", ".join(map(str, sorted(configuration.divisions)))
            raise ConfigurationError(f"Name one of the divisions of kruispost.yaml with --division: {known}.")
        wanted = [division] if division is not None else list(configuration.divisions)
        return [await of_division(connection, configuration, each, now, settings.poll_seconds, per_day) for each in wanted]

    return in_the_writers_database(read)


async def of_division(
    connection: AsyncConnection, configuration: Configuration, division: int, now: float, poll_seconds: float, per_day: int | None
) -> dict[str, Any]:
    """The forecast of one division as it is printed; `per_day` documents are expected in place of what came in lately."""
    pdf = configuration.divisions[division].pdf
    limits = await looking.limits_of(connection, division, now)

    async def outlook_of(*, with_pdfs: bool) -> Outlook:
        ask = partial(looking.outlook_of, connection, division, now)
        found = await ask(poll_seconds=poll_seconds, lists=pdf.lists, with_pdfs=with_pdfs)
        return found if per_day is None else msgspec.structs.replace(found, hourly={"today": (per_day / 24,) * 24})

    outlook = await outlook_of(with_pdfs=pdf.policy != "never")
    history = await looking.history_of(connection, division)
    found = forecast(outlook, limits)
    variants = looking.variants(outlook, limits, history, without=await outlook_of(with_pdfs=False))
    choices = {name: _instant(forecast(*chosen), now) for name, chosen in variants.items()}
    told = {"division": division, **_described(outlook, limits, found, now), "choices": choices if found.seconds else {}}
    paused = await paused_sites(connection)
    still = await standing_still(connection, division)
    told |= {"paused_sites": sorted(paused & configuration.sites.keys()), "stands_still": still}
    return {**told, "is_shadow": configuration.divisions[division].shadow}


def _described(outlook: Outlook, limits: Limits, found: Forecast, now: float) -> dict[str, Any]:
    classes = {
        each: {"calls": round(outlook.ahead(each)), "empty_at": _at(seconds, now)} for each, seconds in found.seconds.items()
    }
    return {
        "calls": round(sum(outlook.ahead(each) for each in ORDER)),
        "empty_at": _instant(found, now),
        "classes": classes,
        "expected_per_day": round(sum(sum(rates) for rates in outlook.hourly.values())),
        "limits": {"minute": limits.minute, "day": limits.day, "left_today": round(limits.left_today)},
    }


def _instant(found: Forecast, now: float) -> str | None:
    return _at(found.done_after_seconds, now)


def _at(seconds: float | None, now: float) -> str | None:
    """An instant as Exact's users read their clocks; None for none."""
    if seconds is None:
        return None
    return (datetime.fromtimestamp(now, UTC) + timedelta(seconds=seconds)).astimezone(EXACT_ZONE).isoformat(timespec="minutes")


def _lines(found: dict[str, Any], language: int) -> list[str]:
    def done(at: str | None) -> str:
        if at is None:
            return WORDS["never"][language]
        return WORDS["done"][language].format(at=datetime.fromisoformat(at))

    limits, paused = found["limits"], ", ".join(found["paused_sites"])
    ending = done(found["empty_at"]) if found["classes"] else WORDS["nothing"][language]
    lines = [WORDS["head"][language].format(division=found["division"], calls=found["calls"], done=ending)]
    lines += [
        f"    {CLASSES[name][language]:<24} {each['calls']:>9,} {done(each['empty_at'])}"
        for name, each in found["classes"].items()
    ]
    told = {"minute": limits["minute"], "day": limits["day"], "left": limits["left_today"]}
    lines.append(WORDS["limits"][language].format(**told))
    if found["stands_still"] is not None:
        reason = found["stands_still"]
        lines.append(WORDS["still"][language].format(reason=connection_in_dutch(reason) if language else reason))
    if found["is_shadow"]:
        lines.append(WORDS["shadow"][language])
    if paused:
        lines.append(WORDS["paused"][language].format(sites=paused))
    if found["expected_per_day"]:
        lines.append(WORDS["expected"][language].format(expected=found["expected_per_day"]))
    if found["choices"]:
        lines.append(WORDS["choices"][language])
        lines += [f"    {CHOICES[name][language]}: {done(at)}" for name, at in found["choices"].items()]
    return lines
