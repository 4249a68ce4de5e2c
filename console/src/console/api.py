"""The console over HTTP, for `kruispost status` from elsewhere and for whatever people build on it. A bearer token opens it."""

from __future__ import annotations

import hmac
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Query
from pydantic import SecretStr

from backbone.database import Database
from console import moves, queries
from console.folding import State
from contracts.facts import DocumentKind


def router(database: Database, admin_token: SecretStr | None) -> APIRouter:
    """Return the routes; without an admin token nobody gets in."""

    async def authorised(authorization: Annotated[str, Header()] = "") -> None:
        token = admin_token.get_secret_value() if admin_token is not None else ""
        fits = hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode())
        if not token or not fits:
            raise HTTPException(401, "send the admin token as Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"})

    made = APIRouter(dependencies=[Depends(authorised)])

    @made.get("/summary")
    async def summary() -> dict[str, Any]:
        async with database.reading() as connection:
            return await queries.summary(connection)

    @made.get("/documents")
    async def documents(
        state: State | None = None,
        kind: DocumentKind | None = None,
        code: str | None = None,
        customer: str | None = None,
        receipt: str | None = None,
        limit: Annotated[int, Query(ge=1, le=100_000)] = queries.LIMIT,
    ) -> dict[str, Any]:
        async with database.reading() as connection:
            found = await queries.documents(
                connection, state=state, kind=kind, code=code, customer=customer, receipt=receipt, limit=limit
            )
        return {"documents": found}

    @made.get("/moves")
    async def moved(division: int | None = None, first: str | None = None, last: str | None = None) -> dict[str, Any]:
        async with database.reading() as connection:
            rows = await moves.moves(connection, moves.Span(division=division, first=first, last=last))
        return {"moves": rows}

    @made.get("/documents/{number:path}")
    async def document(number: str) -> dict[str, Any]:
        async with database.reading() as connection:
            found = await queries.life_of(connection, number)
        if not found:
            raise HTTPException(404, f"no document has the number {number}")
        return {"documents": found}

    return made
