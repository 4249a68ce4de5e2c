"""The two addresses of the consent: begin it, and take what Exact sends the browser back with."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from backbone.clock import Clock
from backbone.database import Database
from exact_writer import vault
from exact_writer.auth import ConsentNeededError, ExactLogin, NoTokenNowError


def consent_router(database: Database, login: ExactLogin, clock: Clock, admin_token: str | None) -> APIRouter:
    """GET /oauth/start (bearer admin token) gives Exact's page; GET /oauth/callback takes the code, within ten minutes."""
    router = APIRouter()

    @router.get("/oauth/start")
    async def start(request: Request) -> Response:
        if admin_token is None:
            return _problem(403, "admin_token_missing", "Set KRUISPOST_ADMIN_TOKEN before logging in at Exact.")
        given = request.headers.get("Authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {admin_token}".encode()):
            return _problem(401, "unauthorized", "The admin token is missing or wrong; send it as a bearer token.")
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


def _problem(status: int, code: str, sentence: str) -> JSONResponse:
    return JSONResponse({"code": code, "message": sentence}, status_code=status)
