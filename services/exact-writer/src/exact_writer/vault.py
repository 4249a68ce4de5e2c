"""The tokens at rest: encrypted with Fernet keys, newest first, and bound to the row they stand in."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy.ext.asyncio import AsyncConnection

from backbone.database import Database
from backbone.errors import ConfigurationError
from exact_writer import tables


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of tokens. `obtained_at` is when the answer had arrived (unix seconds); a refresh token works once, for 30 days."""

    access_token: str
    refresh_token: str
    obtained_at: float
    expires_in_seconds: float


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What the vault holds; `consent_needed` says why the tokens are of no use any more, or is None.

    `tries` to renew them are not known to have worked; the next one may be made at `retry_at` (unix seconds).
    """

    tokens: Tokens
    consent_needed: str | None
    tries: int = 0
    retry_at: float = 0.0


class _Sealed(msgspec.Struct, frozen=True, kw_only=True):
    client_id: str
    access_token: str
    refresh_token: str


class Vault:
    """Keeps the tokens of one app. What is decrypted must name the row it came from, so that rows cannot be exchanged."""

    def __init__(self, database: Database, client_id: str, keys: str) -> None:
        self._database = database
        self._client_id = client_id
        try:
            self._fernet = MultiFernet([Fernet(key.strip()) for key in keys.split(",") if key.strip()])
        except ValueError as error:
            raise ConfigurationError(
                "KRUISPOST_ENCRYPTION_KEYS must be Fernet keys separated by commas; make one with "
                "`python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'`."
            ) from error

    async def read(self) -> Stored | None:
        """The tokens as stored; None before the first consent. Raises ConfigurationError when no key opens them."""
        async with self._database.reading() as connection:
            row = (
                await connection.execute(sa.select(tables.tokens).where(tables.tokens.c.client_id == self._client_id))
            ).one_or_none()
        if row is None:
            return None
        try:
            sealed = msgspec.json.decode(self._fernet.decrypt(bytes(row.sealed)), type=_Sealed)
        except InvalidToken as error:
            raise ConfigurationError(
                "No key in KRUISPOST_ENCRYPTION_KEYS opens the stored Exact tokens; add the key they were stored with."
            ) from error
        if sealed.client_id != self._client_id:
            raise ConfigurationError("The stored Exact tokens belong to another app; run `kruispost login` again.")
        tokens = Tokens(
            access_token=sealed.access_token,
            refresh_token=sealed.refresh_token,
            obtained_at=row.obtained_at,
            expires_in_seconds=row.expires_in_seconds,
        )
        return Stored(tokens=tokens, consent_needed=row.consent_needed, tries=row.tries, retry_at=row.retry_at)

    async def store(self, tokens: Tokens, *, instead_of: Tokens | None = None) -> bool:
        """Replace the tokens, encrypted with the newest key; committed when this returns.

        Only in place of this pair, if one is given: a process that was held up must not undo what others stored meanwhile. Says
        whether they are stored.
        """
        sealed = _Sealed(client_id=self._client_id, access_token=tokens.access_token, refresh_token=tokens.refresh_token)
        values = {
            "sealed": self._fernet.encrypt(msgspec.json.encode(sealed)),
            "obtained_at": tokens.obtained_at,
            "expires_in_seconds": tokens.expires_in_seconds,
            "consent_needed": None,
            "tries": 0,
            "retry_at": 0.0,
        }
        statement = self._database.insert(tables.tokens).values(client_id=self._client_id, **values)
        where = tables.tokens.c.obtained_at == instead_of.obtained_at if instead_of is not None else None
        async with self._database.transaction() as connection:
            done = await connection.execute(
                statement.on_conflict_do_update(index_elements=["client_id"], set_=values, where=where)
            )
        return done.rowcount == 1

    async def note_try(self, tries: int, retry_at: float) -> None:
        """Note a try to renew the tokens before it is made: after a crash there is none before `retry_at`."""
        of_app = tables.tokens.c.client_id == self._client_id
        async with self._database.transaction() as connection:
            await connection.execute(sa.update(tables.tokens).where(of_app).values(tries=tries, retry_at=retry_at))

    async def spoil(self, reason: str, spoiled: Tokens) -> bool:
        """Note that a person has to consent again, and why; says whether this pair is still the one that is stored."""
        is_this = (tables.tokens.c.client_id == self._client_id, tables.tokens.c.obtained_at == spoiled.obtained_at)
        async with self._database.transaction() as connection:
            done = await connection.execute(sa.update(tables.tokens).where(*is_this).values(consent_needed=reason))
        return done.rowcount == 1


STATE_SECONDS = 600.0


async def remember_state(connection: AsyncConnection, state: str, now: float) -> None:
    """Keep the state of a consent that was begun; those older than ten minutes are forgotten."""
    await connection.execute(sa.delete(tables.oauth_states).where(tables.oauth_states.c.created_at < now - STATE_SECONDS))
    await connection.execute(sa.insert(tables.oauth_states).values(state=state, created_at=now))


async def take_state(connection: AsyncConnection, state: str, now: float) -> bool:
    """Whether this consent was begun here within ten minutes; it works once."""
    taken = await connection.execute(
        sa.delete(tables.oauth_states).where(
            tables.oauth_states.c.state == state, tables.oauth_states.c.created_at >= now - STATE_SECONDS
        )
    )
    return taken.rowcount == 1
