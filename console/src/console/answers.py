"""Where `status` and `trace` get their answers: the console's own database, or a console elsewhere over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import asyncpg
import httpx
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database, is_not_migrated, schema_of
from backbone.migrations import NOT_MIGRATED
from backbone.settings import Settings
from console import moves, queries
from console.projection import SOURCE

TIMEOUT_SECONDS = 30.0
# What a database that is away, refuses the login or does not exist raises; connecting raises the driver's own errors bare.
DATABASE_ERRORS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
Result = TypeVar("Result")
Rows = list[dict[str, Any]]


class UnusableError(Exception):
    """The command cannot be carried out; the message is for the person who gave it."""


@dataclass(frozen=True)
class Filters:
    """Which documents are asked for; None means any."""

    state: str | None
    kind: str | None
    code: str | None
    receipt: str | None
    limit: int


def status(settings: Settings, console_url: str | None, filters: Filters) -> tuple[dict[str, Any], Rows]:
    """Return the counts and the documents that fit; raises UnusableError when nobody answers."""
    if console_url is not None:
        wanted = {name: value for name, value in asdict(filters).items() if value is not None}
        counts, listed = _ask(settings, console_url, ("/summary", {}), ("/documents", wanted))
        return counts.json(), listed.json()["documents"]

    async def ask(connection: AsyncConnection) -> tuple[dict[str, Any], Rows]:
        return await queries.summary(connection), await queries.documents(connection, **asdict(filters))

    return _read(settings, ask)


def documents(settings: Settings, console_url: str | None, filters: Filters) -> Rows:
    """Return the documents that fit; raises UnusableError when nobody answers."""
    if console_url is None:
        return _read(settings, lambda connection: queries.documents(connection, **asdict(filters)))
    wanted = {name: value for name, value in asdict(filters).items() if value is not None}
    (answer,) = _ask(settings, console_url, ("/documents", wanted))
    listed: Rows = answer.json()["documents"]
    return listed


def moved(settings: Settings, console_url: str | None, span: moves.Span) -> Rows:
    """Return what is reported in another period than its date says; raises UnusableError when nobody answers."""
    if console_url is None:
        return _read(settings, lambda connection: moves.moves(connection, span))
    wanted = {name: value for name, value in asdict(span).items() if value is not None}
    (answer,) = _ask(settings, console_url, ("/moves", wanted))
    listed: Rows = answer.json()["moves"]
    return listed


def life_of(settings: Settings, console_url: str | None, number: str) -> Rows:
    """Return the bookings of a document with their timelines, none when it is unknown; raises UnusableError."""
    if console_url is None:
        return _read(settings, lambda connection: queries.life_of(connection, number))
    (answer,) = _ask(settings, console_url, (f"/documents/{quote(number)}", {}))
    found: Rows = [] if answer.status_code == httpx.codes.NOT_FOUND else answer.json()["documents"]
    return found


def _ask(settings: Settings, console_url: str, *questions: tuple[str, dict[str, Any]]) -> list[httpx.Response]:
    if settings.admin_token is None:
        raise UnusableError("Set KRUISPOST_ADMIN_TOKEN, the same as the console's; it opens the console's answers.")
    headers = {"Authorization": f"Bearer {settings.admin_token.get_secret_value()}"}
    try:
        with httpx.Client(base_url=console_url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            answers = [client.get(path, params=params) for path, params in questions]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnusableError(f"The console at {console_url} does not answer ({error}); check KRUISPOST_CONSOLE_URL.") from error
    for answer in answers:
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise UnusableError("The console does not accept this admin token; both must have the same KRUISPOST_ADMIN_TOKEN.")
        if not answer.is_success and not _is_own_answer(answer):
            raise UnusableError(f"The console at {console_url} answers {answer.status_code}; check KRUISPOST_CONSOLE_URL.")
    return answers


def _is_own_answer(answer: httpx.Response) -> bool:
    """Whether it is the console's word that it knows no such document, rather than a wrong address."""
    if answer.status_code != httpx.codes.NOT_FOUND or not answer.headers.get("content-type", "").startswith("application/json"):
        return False
    return str(answer.json().get("detail", "")).startswith("no document")


def _read(settings: Settings, question: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    file = settings.data_dir / f"{schema_of(SOURCE)}.sqlite"
    if settings.database_url is None and not file.exists():
        # Opening a SQLite file would make an empty one, and a question must change nothing.
        raise UnusableError(
            f"There is no installation here: {file} does not exist. Set KRUISPOST_DATA_DIR or KRUISPOST_DATABASE_URL, or start "
            "one with `kruispost run`."
        )

    async def ask() -> Result:
        database = Database.open(settings, SOURCE)
        try:
            async with database.reading() as connection:
                return await question(connection)
        finally:
            await database.close()

    try:
        return asyncio.run(ask())
    except DATABASE_ERRORS as error:
        if is_not_migrated(error):
            raise UnusableError(f"The console's database cannot be read: {NOT_MIGRATED}") from error
        raise UnusableError(
            f"The console's database cannot be read ({error}); check KRUISPOST_DATABASE_URL or KRUISPOST_DATA_DIR, "
            "and run `kruispost migrate`."
        ) from error
