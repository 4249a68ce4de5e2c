"""The writer's addresses: begin the consent, take what Exact sends the browser back with, and read a division's master data."""

from __future__ import annotations

import secrets

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from backbone.clock import Clock
from backbone.database import Database
from exact_writer import vault
from exact_writer.auth import ConsentNeededError, ExactLogin, NoTokenNowError
from exact_writer.calls import NotAllowedNowError
from exact_writer.client import CallError
from exact_writer.holding import Holder
from exact_writer.odata import UnreadableAnswerError

LOOK_PATIENCE_SECONDS = 60.0


def consent_router(database: Database, login: ExactLogin, clock: Clock, admin_token: str | None) -> APIRouter:
    """GET /oauth/start (bearer admin token) gives Exact's page; GET /oauth/callback takes the code, within ten minutes."""
    router = APIRouter()

    @router.get("/oauth/start")
    async def start(request: Request) -> Response:
        refusal = _not_admitted(request, admin_token)
        if refusal is not None:
            return refusal
        state = clock.random_id()
        async with database.transaction() as connection:
            await vault.remember_state(connection, state, clock.now().timestamp())
        return JSONResponse({"url": login.consent_url(state)})

    @router.get("/oauth/callback")
    async def callback(code: str = "", state: str = "", error: str = "") -> Response:
        if error:
            return _problem(400, "consent_refused", f"Exact says that the consent was not given ({error}); log in again.")
        async with database.transaction() as connection:
            known = await vault.take_state(connection, state, clock.now().timestamp())
        if not known or not code:
            return _problem(400, "consent_unknown", "This login was not begun here or is too old; run `kruispost login` again.")
        try:
            await login.exchange(code)
        except ConsentNeededError as refusal:
            return _problem(400, "consent_refused", f"{refusal.reason}; run `kruispost login` again.")
        except NoTokenNowError as absence:
            return _problem(502, "exact_unavailable", f"{absence.reason}; run `kruispost login` again in a minute.")
        return PlainTextResponse("Kruispost is connected to Exact Online. You can close this page.\n")

    return router


def master_data_router(holder: Holder, admin_token: str | None) -> APIRouter:
    """GET /divisions/{number}/master-data (bearer admin token) reads a division's master data; nothing is written anywhere."""
    router = APIRouter()

    @router.get("/divisions/{number}/master-data")
    async def master_data(request: Request, number: int) -> Response:
        refusal = _not_admitted(request, admin_token)
        if refusal is not None:
            return refusal
        if number not in holder.divisions:
            return _problem(404, "division_unknown", f"Division {number} is not in this writer's configuration.")
        writer = holder.writer(number)
        if writer is None:
            return _problem(409, "stands_by", f"Another process acts in division {number}; ask that one.")
        complaint = writer.connection.complaint()
        if complaint is not None:
            return _problem(503, "exact_unavailable", complaint)
        try:
            found = await writer.desk.ask(LOOK_PATIENCE_SECONDS)
        except (TimeoutError, CallError, NotAllowedNowError, UnreadableAnswerError, ConsentNeededError, NoTokenNowError) as error:
            words = str(error) or "Exact did not answer in time"
            return _problem(503, "exact_unavailable", f"Division {number} cannot be looked at now: {words}.")
        return Response(msgspec.json.encode(found), media_type="application/json")

    return router


def _not_admitted(request: Request, admin_token: str | None) -> Response | None:
    if admin_token is None:
        return _problem(403, "admin_token_missing", "Set KRUISPOST_ADMIN_TOKEN before logging in at Exact.")
    given = request.headers.get("Authorization", "")
    if not secrets.compare_digest(given.encode(), f"Bearer {admin_token}".encode()):
        return _problem(401, "unauthorized", "The admin token is missing or wrong; send it as a bearer token.")
    return None


def _problem(status: int, code: str, sentence: str) -> JSONResponse:
    return JSONResponse({"code": code, "message": sentence}, status_code=status)
