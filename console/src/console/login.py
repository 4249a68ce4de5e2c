"""`kruispost login`: asks the writer for Exact's consent page and waits until the writer holds a token.

The token itself never passes through here: Exact sends the browser back to the writer, which exchanges the code and keeps it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import httpx

from backbone.settings import Settings

POLL_SECONDS = 1.0
# The writer's readiness names this command in its reason for as long as it has no token.
CONSENT_NEEDED = "kruispost login"


class LoginError(Exception):
    """The connection to Exact could not be made; the message says why and what to do."""


def log_in(
    settings: Settings, writer_url: str, *, came_back_to: str | None, wait_seconds: float, tell: Callable[[str], None]
) -> str:
    """Return the writer's address once it is connected.

    With `came_back_to` (the address that Exact sent the browser to) nothing is opened: the code in it is handed to the writer.
    Raises LoginError.
    """
    if settings.admin_token is None:
        raise LoginError("Set KRUISPOST_ADMIN_TOKEN, the same as the writer's; it opens the writer's login.")
    headers = {"Authorization": f"Bearer {settings.admin_token.get_secret_value()}"}
    with httpx.Client(base_url=writer_url, timeout=30.0, trust_env=False) as client:
        try:
            if came_back_to is not None:
                _hand_over(client, came_back_to)
                return writer_url
            answer = client.get("/oauth/start", headers=headers)
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                raise LoginError("The writer does not accept this admin token; both must have the same KRUISPOST_ADMIN_TOKEN.")
            tell(f"Open this address, log in to Exact and give consent:\n\n  {answer.raise_for_status().json()['url']}\n")
            _wait(client, wait_seconds)
        except httpx.HTTPError as error:
            raise LoginError(
                f"The writer at {writer_url} does not answer as it should ({error}); is it running there?"
            ) from error
    return writer_url


def _hand_over(client: httpx.Client, came_back_to: str) -> None:
    given = parse_qs(urlsplit(came_back_to).query)
    if not {"code", "state"} <= given.keys():
        raise LoginError("Give the whole address that the browser came back to: it has a code and a state in it.")
    answer = client.get("/oauth/callback", params={"code": given["code"][0], "state": given["state"][0]})
    if not answer.is_success:
        raise LoginError(f"The writer could not use the code: {answer.text.strip()}")


def _wait(client: httpx.Client, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        answer = client.get("/ready")
        reasons = (
            answer.json().get("reasons", []) if answer.headers.get("content-type", "").startswith("application/json") else []
        )
        if not any(CONSENT_NEEDED in reason for reason in reasons):
            return
    raise LoginError(f"No consent came within {wait_seconds:.0f} seconds; run `kruispost login` again.")
