import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from simulators.exact.settings import ExactSettings
from simulators.exact.wire import encode

_TOO_EARLY = "Rate limit exceeded: access_token not expired"
_DAY = 86_400.0


@dataclass
class _Chain:
    """The tokens of one user in one app: only the newest refresh token lives."""

    client_id: str
    refresh_token: str
    issued_at: float


@dataclass(frozen=True)
class _Code:
    client_id: str
    redirect_uri: str
    expires_at: float


class TokenProblem(Exception):  # noqa: N818  an answer of the token endpoint, not a fault
    """The token endpoint refuses: HTTP 400 with this `error`, description and headers."""

    def __init__(self, error: str, description: str | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(error, description)
        self.body = {"error": error} | ({"error_description": description} if description else {})
        self.headers = headers or {}


class Authority:
    """Gives out codes and tokens: codes live three minutes and work once, refresh tokens rotate and work once."""

    def __init__(self, settings: ExactSettings) -> None:
        self.settings = settings
        self.clients = {settings.client_id: settings.client_secret, **dict(settings.more_clients)}
        self.token_calls = 0
        self._codes: dict[str, _Code] = {}
        self._chains: dict[str, _Chain] = {}  # by client: one user, so one chain an app
        self._used_refresh_tokens: set[str] = set()
        self._access_tokens: dict[str, tuple[str, float]] = {}
        self._calls_today: dict[tuple[str, int], int] = {}

    def authorise(self, client_id: str, redirect_uri: str) -> str:
        """Consents at once, as the user would, and returns a code. Raises `TokenProblem` for an unknown app or address."""
        if client_id not in self.clients:
            raise TokenProblem("invalid_client", "The client is not known.")
        if self.settings.redirect_uri not in (None, redirect_uri):
            raise TokenProblem("invalid_request", "The redirect_uri does not match the registered one.")
        code = f"NL001.{secrets.token_urlsafe(24)}!{secrets.token_urlsafe(8)}"
        expires_at = self.settings.clock() + self.settings.code_seconds
        self._codes[code] = _Code(client_id, redirect_uri, expires_at)
        return code

    def exchange(self, form: dict[str, str]) -> dict[str, str]:
        """One call of the token endpoint. Raises `TokenProblem` with the body that Exact would send."""
        self.token_calls += 1
        client_id = form.get("client_id", "")
        if client_id not in self.clients or self.clients[client_id] != form.get("client_secret"):
            raise TokenProblem("invalid_client")
        today = (client_id, int(self.settings.clock() // _DAY))
        self._calls_today[today] = self._calls_today.get(today, 0) + 1
        if self._calls_today[today] > self.settings.token_day_limit:
            raise TokenProblem("access_denied", "Rate limit exceeded: too many token requests")
        grant = form.get("grant_type")
        if grant == "authorization_code":
            self._redeem(client_id, form)
            return self.start_chain(client_id)
        if grant == "refresh_token":
            return self._refresh(client_id, form.get("refresh_token", ""))
        raise TokenProblem("unsupported_grant_type")

    def _redeem(self, client_id: str, form: dict[str, str]) -> None:
        code = self._codes.pop(form.get("code", ""), None)
        valid = code is not None and code.client_id == client_id and code.expires_at > self.settings.clock()
        if code is None or not valid or code.redirect_uri != form.get("redirect_uri", ""):
            raise TokenProblem("invalid_grant")

    def _refresh(self, client_id: str, token: str) -> dict[str, str]:
        if token in self._used_refresh_tokens:
            raise TokenProblem("invalid_grant", "Old refresh token used.")
        chain = self._chains.get(client_id)
        if chain is None or chain.refresh_token != token:
            raise TokenProblem("invalid_grant")
        age = self.settings.clock() - chain.issued_at
        if age > self.settings.refresh_token_seconds:
            expired = _american(chain.issued_at + self.settings.refresh_token_seconds)
            now = _american(self.settings.clock())
            raise TokenProblem("invalid_request", f"The refresh token expired at {expired} and it is now {now}.")
        if age < self.settings.token_minimum_age_seconds:
            headers = {"Reason": f"TooEarlyToRefreshTokens: {_TOO_EARLY}"}
            raise TokenProblem("access_denied", _TOO_EARLY, headers)
        return self.start_chain(client_id)

    def start_chain(self, client_id: str) -> dict[str, str]:
        """Gives a new pair of tokens; the app's earlier refresh token is dead from here on."""
        earlier = self._chains.get(client_id)
        if earlier is not None:
            self._used_refresh_tokens.add(earlier.refresh_token)
        now = self.settings.clock()
        access, refresh = f"stampNL001.{secrets.token_urlsafe(32)}", f"NL001.{secrets.token_urlsafe(32)}!"
        self._chains[client_id] = _Chain(client_id, refresh, now)
        self._access_tokens[access] = (client_id, now + self.settings.token_seconds)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": f"{self.settings.token_seconds:g}",
            "refresh_token": refresh,
        }

    def revoke(self, client_id: str) -> None:
        """Takes the consent back, as a user can in Exact: neither of the app's tokens is worth anything from here on."""
        self._chains.pop(client_id, None)
        self._access_tokens = {token: known for token, known in self._access_tokens.items() if known[0] != client_id}

    def client_of(self, authorization: str | None) -> tuple[str | None, bool]:
        """(app, token still valid) of an Authorization header; the app is None when the token was never given out."""
        scheme, _, token = (authorization or "").partition(" ")
        known = self._access_tokens.get(token.strip()) if scheme.lower() == "bearer" else None
        if known is None:
            return None, False
        return known[0], known[1] > self.settings.clock()


def _american(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    half = "AM" if moment.hour < 12 else "PM"
    clock = f"{moment.hour % 12 or 12}:{moment:%M:%S} {half}"
    return f"{moment.month}/{moment.day}/{moment.year} {clock}"


def routes(authority: Authority) -> APIRouter:
    """The two OAuth addresses."""
    router = APIRouter()

    @router.get("/api/oauth2/auth")
    async def authorise(request: Request) -> Response:
        query = request.query_params
        redirect_uri = query.get("redirect_uri", "")
        if query.get("response_type") != "code" or not redirect_uri:
            return Response(encode({"error": "invalid_request"}), 400, media_type="application/json")
        try:
            code = authority.authorise(query.get("client_id", ""), redirect_uri)
        except TokenProblem as problem:
            return Response(encode(problem.body), 400, media_type="application/json")
        joiner = "&" if "?" in redirect_uri else "?"
        target = f"{redirect_uri}{joiner}code={quote(code, safe='')}"
        if "state" in query:
            target += f"&state={quote(query['state'], safe='')}"
        return RedirectResponse(target, 302)

    @router.post("/api/oauth2/token")
    async def token(request: Request) -> Response:
        is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        form = {name: values[-1] for name, values in parse_qs((await request.body()).decode()).items()} if is_form else {}
        try:
            answer = authority.exchange(form)
        except TokenProblem as problem:
            return Response(encode(problem.body), 400, problem.headers, "application/json")
        return Response(encode(answer), 200, media_type="application/json")

    return router
