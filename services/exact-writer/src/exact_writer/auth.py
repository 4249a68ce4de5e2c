"""The OAuth client: consent, and one refresh at a time.

Exact kills a refresh token with its first use, refuses to refresh before 570 of 600 seconds have passed since the last answer,
and needs a person when the chain of tokens breaks. So a refresh happens under a lock that all processes share, reads the tokens
again inside it, and stores the new pair before anything uses it.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlencode

import httpx

from backbone.clock import Clock
from backbone.crash_points import crash_point
from backbone.database import Database
from backbone.telemetry import Telemetry, log
from exact_writer.client import ExactClient, NotSentError, UnknownError
from exact_writer.vault import Stored, Tokens, Vault
from exact_writer.words import say

MINIMUM_AGE_SHARE: Final = 0.95  # 570 of 600 seconds
RETRY_SECONDS: Final = 15.0
LONGEST_RETRY_SECONDS: Final = 300.0  # Exact takes 200 calls of its token endpoint a day, of which renewing takes 144
TOO_EARLY_RETRY_SECONDS: Final = 60.0
REFUSED_RETRY_SECONDS: Final = 900.0  # Exact counts the calls of its token endpoint, and asking sooner changes nothing
LOCK_PAUSE_SECONDS: Final = 0.2
LOCK_NAME: Final = "token"
NOBODY_YET: Final = say("nobody_logged_in").english


class ConsentNeededError(Exception):
    """A person has to log in at Exact; `reason` says why, as a clause."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoTokenNowError(Exception):
    """There is no usable token at the moment; it is worth asking again at `retry_at` (unix seconds).

    `blocks` says that a person should know, such as of a wrong client secret; the tokens themselves are still good.
    """

    def __init__(self, reason: str, retry_at: float, *, blocks: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_at = retry_at
        self.blocks = blocks


class ExactLogin:
    """Gives access tokens. Refreshes them when they are old enough, and never sooner."""

    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        client: ExactClient,
        clock: Clock,
        telemetry: Telemetry,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
    ) -> None:
        self._database = database
        self._vault = vault
        self._client = client
        self._clock = clock
        self._telemetry = telemetry
        self._app = {"client_id": client_id, "client_secret": client_secret}
        self._redirect_uri = redirect_uri
        self._turn = asyncio.Lock()
        self._known: Stored | None = None
        self._retry_at = 0.0
        self._failures = 0
        self._unstored: Tokens | None = None
        self._still_good: str | None = None  # what Exact called too young to be replaced, whatever our clock says
        self.changed = asyncio.Event()

    def consent_url(self, state: str) -> str:
        """The page of Exact on which a person gives consent."""
        query = {"client_id": self._app["client_id"], "redirect_uri": self._redirect_uri, "response_type": "code", "state": state}
        return f"{self._client.base_url}/api/oauth2/auth?{urlencode(query)}"

    async def access_token(self, *, rejected: str | None = None) -> str:
        """A token that Exact should accept. `rejected` is one that it did not: then another is got, if Exact allows it yet.

        Raises ConsentNeededError, or NoTokenNowError when a refresh did not work for now.
        """
        stored = self._known
        if stored is None or stored.consent_needed or self._wants_refresh(stored.tokens, rejected):
            async with self._turn:
                stored = await self._renewed(rejected)
        return stored.tokens.access_token

    async def exchange(self, code: str) -> None:
        """Turn the code of a consent into tokens and store them; a code works once, within three minutes.

        Raises ConsentNeededError with Exact's words when it is refused, NoTokenNowError when Exact does not answer.
        """
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect_uri, **self._app}
        async with self._turn:
            response = await self._ask(form)
            if response.status_code != httpx.codes.OK:
                raise ConsentNeededError(f"Exact refused the code of the consent: {_said(response)}")
            await self._store(response)
        log.info("connected to Exact")

    async def _renewed(self, rejected: str | None) -> Stored:
        """Read the tokens again and refresh them if that is still needed; the caller holds the turn of this process."""
        await self._store_what_is_left()
        stored = await self._read()
        if not self._wants_refresh(stored.tokens, rejected):
            return stored
        now = self._now()
        if stored.tokens.obtained_at <= now < self._oldest_refresh(stored.tokens):  # before, our clock was set back
            raise NoTokenNowError("Exact does not accept the token and gives no other yet", self._oldest_refresh(stored.tokens))
        retry_at = self._retry_allowed_at(stored, now)
        if now < retry_at:
            if self._is_usable(stored.tokens, rejected):
                return stored
            raise NoTokenNowError("Exact gave no new token", retry_at)
        lock = await self._database.try_lock(LOCK_NAME)
        while lock is None:
            await self._clock.sleep(LOCK_PAUSE_SECONDS)
            lock = await self._database.try_lock(LOCK_NAME)
        try:
            stored = await self._read()
            if not self._wants_refresh(stored.tokens, rejected):
                return stored
            return await self._refresh(stored, rejected)
        finally:
            await lock.release()

    async def _refresh(self, stored: Stored, rejected: str | None) -> Stored:
        form = {"grant_type": "refresh_token", "refresh_token": stored.tokens.refresh_token, **self._app}
        self._failures = stored.tries
        # Noted before it is made: a process that dies each time would else use up the token calls of a day. After a first death
        # the next one asks at once, since a person has to know when the chain is broken.
        await self._vault.note_try(stored.tries + 1, self._now() + (self._pause() if stored.tries else 0.0))
        crash_point("exact_writer.before_refresh")
        try:
            response = await self._ask(form)
        except NoTokenNowError as error:
            if isinstance(error.__cause__, NotSentError):
                await self._vault.note_try(stored.tries, error.retry_at)
            raise
        if response.status_code == httpx.codes.OK:
            renewed = await self._store(response, instead_of=stored.tokens)
            self._telemetry.count("exact_token_refreshes", outcome="refreshed")
            return renewed
        said = _said(response)
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise self._failed(f"Exact's token endpoint answered {response.status_code}")
        if "not expired" in said or "TooEarlyToRefreshTokens" in response.headers.get("Reason", ""):
            self._telemetry.count("exact_token_refreshes", outcome="too_early")
            log.warning("Exact says the token is too young to refresh; it is used until it expires", said=said)
            self._retry_at = self._now() + TOO_EARLY_RETRY_SECONDS
            self._still_good = stored.tokens.access_token
            if self._is_usable(stored.tokens, rejected):
                return stored
            raise NoTokenNowError("Exact says that the token is still too young to be refreshed", self._retry_at)
        if not _breaks_the_chain(response):
            self._telemetry.count("exact_token_refreshes", outcome="failed")
            self._retry_at = self._now() + REFUSED_RETRY_SECONDS
            raise NoTokenNowError(say("token_not_renewed", said=said).english, self._retry_at, blocks=True)
        reason = say("renewal_refused", said=said).english
        if not await self._vault.spoil(reason, stored.tokens):
            return await self._read()  # this process hung, lost its lock, and another has renewed them meanwhile
        self._telemetry.count("exact_token_refreshes", outcome="consent_needed")
        self._known = None
        raise ConsentNeededError(reason)

    async def _ask(self, form: dict[str, str]) -> httpx.Response:
        try:
            return await self._client.token_request(form)
        except NotSentError as error:
            self._telemetry.count("exact_token_refreshes", outcome="failed")
            self._retry_at = self._now() + RETRY_SECONDS
            raise NoTokenNowError(error.message, self._retry_at) from error
        except UnknownError as error:
            raise self._failed(error.message) from error

    def _failed(self, reason: str) -> NoTokenNowError:
        """The error of a try that Exact may have counted: the next one comes later each time."""
        self._telemetry.count("exact_token_refreshes", outcome="failed")
        self._retry_at = self._now() + self._pause()
        self._failures += 1
        return NoTokenNowError(reason, self._retry_at)

    def _pause(self) -> float:
        return min(LONGEST_RETRY_SECONDS, RETRY_SECONDS * 2.0 ** min(self._failures, 10))

    def _retry_allowed_at(self, stored: Stored, now: float) -> float:
        """From when the tokens may be renewed, by this process' own tries and by what one noted that died."""
        is_near = stored.retry_at <= now + REFUSED_RETRY_SECONDS  # else our clock was set back
        return max(self._retry_at, stored.retry_at if is_near else 0.0)

    async def _store(self, response: httpx.Response, *, instead_of: Tokens | None = None) -> Stored:
        tokens = _tokens_in(response, self._now())
        if tokens is None:
            # A page of Exact's while it is closed, or half an answer. Whether the old pair is still good the next try finds out.
            raise self._failed("Exact's token endpoint answered what cannot be read")
        crash_point("exact_writer.before_token_stored")
        self._unstored = tokens  # Exact gives them once: when the database is away now, they are stored when it is back
        is_stored = await self._vault.store(tokens, instead_of=instead_of)
        self._unstored = None
        self._known = Stored(tokens=tokens, consent_needed=None) if is_stored else await self._read()
        self._retry_at = 0.0
        self._failures = 0
        self.changed.set()
        return self._known

    async def _store_what_is_left(self) -> None:
        """Store the pair whose storing failed, unless somebody has consented since."""
        left = self._unstored
        if left is None:
            return
        stored = await self._vault.read()
        if stored is None or stored.tokens.obtained_at <= left.obtained_at:
            await self._vault.store(left)
        self._unstored = None

    def _is_usable(self, tokens: Tokens, rejected: str | None) -> bool:
        """Whether the token may be used though it is old enough to be replaced."""
        if tokens.access_token == rejected:
            return False
        return tokens.access_token == self._still_good or self._now() < tokens.obtained_at + tokens.expires_in_seconds

    async def why_consent_is_needed(self) -> str | None:
        """Why a person has to log in, by what is stored now; None when nobody has to."""
        stored = await self._vault.read()
        return NOBODY_YET if stored is None else stored.consent_needed

    async def _read(self) -> Stored:
        stored = await self._vault.read()
        self._known = stored
        if stored is None:
            raise ConsentNeededError(NOBODY_YET)
        if stored.consent_needed:
            raise ConsentNeededError(stored.consent_needed)
        return stored

    def _wants_refresh(self, tokens: Tokens, rejected: str | None) -> bool:
        return tokens.access_token == rejected or self._now() >= self._oldest_refresh(tokens)

    def _oldest_refresh(self, tokens: Tokens) -> float:
        return tokens.obtained_at + tokens.expires_in_seconds * MINIMUM_AGE_SHARE

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _tokens_in(response: httpx.Response, now: float) -> Tokens | None:
    """The pair that an answer gives; None for one that gives none."""
    try:
        answer = response.json()
        return Tokens(
            access_token=str(answer["access_token"]),
            refresh_token=str(answer["refresh_token"]),
            obtained_at=now,
            expires_in_seconds=float(str(answer["expires_in"])),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _said(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        return str(body.get("error_description") or body.get("error") or response.status_code)
    return f"HTTP {response.status_code}"


def _breaks_the_chain(response: httpx.Response) -> bool:
    """Whether Exact says that the refresh token is worth nothing any more: used, expired or revoked.

    A wrong secret, too many token calls, or a page that is not Exact's say nothing about it.
    """
    said = response.text.lower()
    if "rate limit" in said or "access_denied" in said or "invalid_client" in said:
        return False
    return any(sign in said for sign in ("invalid_grant", "invalid_request", "refresh token"))
