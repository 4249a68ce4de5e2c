"""Consent and tokens against the Exact stand-in: one refresh at a time, never too early, stored before it is used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from support.engines import DATABASES, settings_for
from support.exact_server import ExactServer, exact_server
from support.writer_stage import KEY, WriterStage, log_in, sale, save_account, writer_environment, writer_stage

from backbone.clock import SystemClock
from backbone.database import Database
from backbone.errors import ConfigurationError
from backbone.migrations import migrate
from backbone.settings import Settings
from backbone.telemetry import Telemetry
from contracts import facts
from exact_writer.auth import ConsentNeededError, ExactLogin, NoTokenNowError
from exact_writer.client import ExactClient
from exact_writer.timing import Timing
from exact_writer.vault import Vault

OTHER_KEY = "b3RoZXIta2V5LW90aGVyLWtleS1vdGhlci1rZXktMDE="


@asynccontextmanager
async def login_on(
    server: ExactServer, settings: Settings, way: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[tuple[ExactLogin, Database]]:
    """A login as one process has it, with its own connections."""
    database = Database.open(settings, "exact-writer")
    client = ExactClient(server.url, Timing(timeout_seconds=2), transport=way)
    try:
        await migrate(database, "exact-writer")
        login = ExactLogin(
            database=database,
            vault=Vault(database, settings.exact_client_id or "", KEY),
            client=client,
            clock=SystemClock(),
            telemetry=Telemetry(),
            client_id=settings.exact_client_id or "",
            client_secret=settings.exact_client_secret.get_secret_value() if settings.exact_client_secret else "",
            redirect_uri=settings.exact_redirect_uri or "",
        )
        yield login, database
    finally:
        await client.close()
        await database.close()


@pytest.mark.parametrize("dialect", DATABASES)
async def test_processes_that_want_a_new_token_together_refresh_once(tmp_path: Path, dialect: str) -> None:
    async with (
        exact_server(token_minimum_age_seconds=0.0) as server,
        settings_for(dialect, tmp_path, **writer_environment(server.url)) as settings,
        login_on(server, settings) as (first, database),
        login_on(server, settings) as (second, _),
    ):
        await log_in(server, settings, database, obtained_at=SystemClock().now().timestamp() - 580)
        before = (await server.calls())["token_calls"]
        tokens = await asyncio.gather(*(login.access_token() for login in (first, second) * 5))
        assert len(set(tokens)) == 1
        assert (await server.calls())["token_calls"] - before == 1


class HeldUp(httpx.AsyncHTTPTransport):
    """A process that is stopped before its request has left, or with the answer at its door."""

    def __init__(self, *, before: bool) -> None:
        super().__init__()
        self._before = before
        self.stopped, self.goes_on = asyncio.Event(), asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = None if self._before else await super().handle_async_request(request)
        self.stopped.set()
        await self.goes_on.wait()
        return answer or await super().handle_async_request(request)


@pytest.mark.parametrize("before", [True, False])
async def test_a_process_that_hangs_in_a_refresh_and_loses_its_lock_undoes_nothing_when_it_goes_on(
    tmp_path: Path, *, before: bool
) -> None:
    way = HeldUp(before=before)
    async with (
        exact_server(token_minimum_age_seconds=0.0) as server,
        settings_for("sqlite", tmp_path, **writer_environment(server.url)) as settings,
        login_on(server, settings, way) as (stopped, database),
        login_on(server, settings) as (other, _),
    ):
        await log_in(server, settings, database, obtained_at=SystemClock().now().timestamp() - 580)
        hanging = asyncio.create_task(stopped.access_token())
        await way.stopped.wait()
        (tmp_path / "exact_writer.token.lock").unlink()  # nobody has it any more
        if before:
            renewed = await other.access_token()
        else:
            with pytest.raises(ConsentNeededError):  # as after a death at this point: Exact gave the new pair to the stopped one
                await other.access_token()
        way.goes_on.set()
        token = await hanging
        assert await other.why_consent_is_needed() is None
        assert await other.access_token() == token
        assert not before or token == renewed


async def test_a_young_token_is_not_refreshed_even_when_exact_rejects_it(tmp_path: Path) -> None:
    async with (
        exact_server() as server,
        settings_for("sqlite", tmp_path, **writer_environment(server.url)) as settings,
        login_on(server, settings) as (login, database),
    ):
        await log_in(server, settings, database)
        before = (await server.calls())["token_calls"]
        token = await login.access_token()
        with pytest.raises(NoTokenNowError) as wait:
            await login.access_token(rejected=token)
        assert wait.value.retry_at - SystemClock().now().timestamp() == pytest.approx(570, abs=5)
        assert (await server.calls())["token_calls"] == before


async def test_exact_saying_too_early_is_no_disaster(tmp_path: Path) -> None:
    async with (
        exact_server() as server,
        settings_for("sqlite", tmp_path, **writer_environment(server.url)) as settings,
        login_on(server, settings) as (login, database),
    ):
        await log_in(server, settings, database, obtained_at=SystemClock().now().timestamp() - 575)
        token = await login.access_token()
        assert token == await login.access_token()


async def test_a_used_refresh_token_needs_a_person_and_is_not_tried_again(tmp_path: Path) -> None:
    async with (
        exact_server(token_minimum_age_seconds=0.0) as server,
        settings_for("sqlite", tmp_path, **writer_environment(server.url)) as settings,
        login_on(server, settings) as (login, database),
    ):
        await log_in(server, settings, database, refresh_token="used-long-ago", obtained_at=0.0)
        with pytest.raises(ConsentNeededError):
            await login.access_token()
        before = (await server.calls())["token_calls"]
        with pytest.raises(ConsentNeededError):
            await login.access_token()
        assert (await server.calls())["token_calls"] == before


async def test_tokens_are_unreadable_at_rest_and_only_with_the_right_key(tmp_path: Path) -> None:
    async with (
        exact_server() as server,
        settings_for("sqlite", tmp_path, **writer_environment(server.url)) as settings,
        login_on(server, settings) as (login, database),
    ):
        await log_in(server, settings, database)
        token = await login.access_token()
        files = b"".join(path.read_bytes() for path in _files_in(tmp_path))
        assert token.encode() not in files
        with pytest.raises(ConfigurationError, match="No key"):
            await Vault(database, settings.exact_client_id or "", OTHER_KEY).read()
        rotated = await Vault(database, settings.exact_client_id or "", f"{OTHER_KEY},{KEY}").read()
        assert rotated is not None
        assert rotated.tokens.access_token == token


async def test_a_person_logs_in_and_the_waiting_commands_go_out(tmp_path: Path) -> None:
    async with exact_server() as server, writer_stage(server, tmp_path, logged_in=False) as stage:
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.ConnectionChanged, state="consent_needed")
        assert any("kruispost login" in complaint for complaint in await stage.complaints())
        async with _browser(stage) as browser:
            assert (await browser.get("/oauth/start")).status_code == 401
            started = await browser.get("/oauth/start", headers={"Authorization": "Bearer admin"})
            back = await _consent(started.json()["url"])
            assert (await browser.get("/oauth/callback", params={**back, "state": "forged"})).status_code == 400
            assert (await browser.get("/oauth/callback", params=back)).status_code == 200
            assert (await browser.get("/oauth/callback", params=back)).status_code == 400
        await stage.until(facts.EntryPosted)
        await stage.until(facts.ConnectionChanged, state="connected")
        assert await stage.complaints() == []


def _files_in(directory: Path) -> list[Path]:
    return list(directory.glob("exact_writer.sqlite*"))


def _browser(stage: WriterStage) -> httpx.AsyncClient:
    site = FastAPI()
    assert stage.application.router is not None
    site.include_router(stage.application.router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=site), base_url="http://writer.test")


async def _consent(url: str) -> dict[str, Any]:
    """Follow Exact's page; it sends the browser back with a code and our state."""
    async with httpx.AsyncClient() as exact:
        redirect = await exact.get(url)
    return {name: values[0] for name, values in parse_qs(urlsplit(redirect.headers["location"]).query).items()}
