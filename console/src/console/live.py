"""How the mapping fits the divisions as they stand in Exact: asked of a running writer, or read in its place when none runs."""

from __future__ import annotations

import asyncio
import importlib.metadata
from datetime import date
from typing import Any

import httpx
import msgspec

from backbone.configuration import Configuration
from backbone.settings import Settings
from console.sentences import Language
from contracts.master_data import MasterData

# How the master data of a division is read where no writer answers: an async function of settings and division.
READERS = "kruispost.master_data"
# What a service finds wrong between the configuration and the master data of a division.
LIVE_CHECKS = "kruispost.live_checks"
# A function of settings and master data that returns a first configuration for a division.
PROPOSALS = "kruispost.proposals"
TIMEOUT_SECONDS = 90.0
TRIES, PAUSE_SECONDS = 30, 0.1


class NotLookedAtError(Exception):
    """The division could not be read; the message says why, as a clause."""


async def master_data_of(settings: Settings, writer_url: str | None, division: int) -> MasterData:
    """Ask the writer, or read in its place when nobody listens on this machine; raises NotLookedAtError."""
    address = writer_url or f"http://127.0.0.1:{settings.port_of('ingest' if settings.amqp_url is None else 'exact-writer')}"
    token = settings.admin_token.get_secret_value() if settings.admin_token is not None else ""
    try:
        answer = await _ask(f"{address}/divisions/{division}/master-data", token)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if writer_url is not None:
            raise NotLookedAtError(f"the writer at {address} does not answer ({type(error).__name__})") from error
        return await _read_in_its_place(settings, division)
    if answer.status_code == httpx.codes.NOT_FOUND and writer_url is None:
        # A division that the running writer does not have, or no writer at all.
        return await _read_in_its_place(settings, division)
    if answer.is_success:
        try:
            return msgspec.json.decode(answer.content, type=MasterData)
        except msgspec.DecodeError as error:
            raise NotLookedAtError(
                f"what answers at {address} is no writer of this release; name it with --writer-url"
            ) from error
    raise NotLookedAtError(_words(answer) or f"what answers at {address} is no writer of this release; name it with --writer-url")


async def _ask(address: str, token: str) -> httpx.Response:
    """Ask until the process answers that acts in the division: behind one address may be several, which share the divisions."""
    for tries_left in reversed(range(TRIES)):
        # A new connection each time, since it is connections that are spread over the processes.
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            answer = await client.get(address, headers={"Authorization": f"Bearer {token}"} if token else None)
        if answer.status_code != httpx.codes.CONFLICT or not tries_left:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    return answer


def _words(answer: httpx.Response) -> str | None:
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return None
    told: Any = answer.json()
    message = told.get("message") if isinstance(told, dict) else None
    return message if isinstance(message, str) else None


async def _read_in_its_place(settings: Settings, division: int) -> MasterData:
    for point in importlib.metadata.entry_points(group=READERS):
        try:
            found: MasterData = await point.load()(settings, division)
        except Exception as error:
            raise NotLookedAtError(str(error) or type(error).__name__) from error
        return found
    raise NotLookedAtError("no writer answers here, and none is installed")


def proposal_for(settings: Settings, data: MasterData) -> str:
    """Return a first kruispost.yaml for a division; raises NotLookedAtError when no service can make one."""
    for point in importlib.metadata.entry_points(group=PROPOSALS):
        text: str = point.load()(settings, data)
        return text
    raise NotLookedAtError("no service that could propose a mapping is installed")


def complaints_about(configuration: Configuration, data: MasterData, today: date, lang: Language) -> list[dict[str, Any]]:
    """Return what every installed service finds wrong with a division's section."""
    found = []
    for point in sorted(importlib.metadata.entry_points(group=LIVE_CHECKS), key=lambda each: each.name):
        found += point.load()(configuration, data, today, lang)
    return found
