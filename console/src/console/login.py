"""`kruispost login`: asks the writer for Exact's consent page and waits until the writer holds a token.

The token itself never passes through here: Exact sends the browser back to the writer, which exchanges the code and keeps it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
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
            page = _consent_page(client.get("/oauth/start", headers=headers))
            tell(f"Open this address, log in to Exact and give consent:\n\n  {page}\n")
            _wait(client, wait_seconds)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LoginError(
                f"The writer at {writer_url} does not answer as it should ({error}); is it running there?"
            ) from error
    return writer_url


def _consent_page(answer: httpx.Response) -> str:
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise LoginError("The writer does not accept this admin token; both must have the same KRUISPOST_ADMIN_TOKEN.")
    said = _said(answer)
    if answer.is_success and isinstance(said.get("url"), str):
        return str(said["url"])
    if "message" in said:
        raise LoginError(f"The writer begins no login: {said['message']}")
    raise LoginError(f"{answer.url.copy_with(path='/')} answers {answer.status_code} and is no writer; check --writer-url.")


def _said(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of an answer; empty when it has none, as that of a proxy or another service."""
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _hand_over(client: httpx.Client, came_back_to: str) -> None:
    given = parse_qs(urlsplit(came_back_to).query)
    if "error" in given:
        raise LoginError(f"Exact says that the consent was not given ({given['error'][0]}); run `kruispost login` again.")
    if not {"code", "state"} <= given.keys():
        raise LoginError("Give the whole address that the browser came back to: it has a code and a state in it.")
    answer = client.get("/oauth/callback", params={"code": given["code"][0], "state": given["state"][0]})
    if not answer.is_success:
        said = _said(answer).get("message", f"it answers {answer.status_code}; check --writer-url")
        raise LoginError(f"The writer could not use the code: {said}")


def _wait(client: httpx.Client, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        # An answer without reasons is a proxy's while the writer restarts; it says nothing about the token.
        reasons = _said(client.get("/ready")).get("reasons")
        if reasons is not None and not any(CONSENT_NEEDED in reason for reason in reasons):
            return
    raise LoginError(f"No consent came within {wait_seconds:.0f} seconds; run `kruispost login` again.")
