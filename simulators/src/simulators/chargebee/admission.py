"""What happens to a request before its operation: authentication, limits, faults and idempotency keys."""

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

from .clock import Clock
from .errors import ApiError, invalid_state
from .settings import ChargebeeSettings

LIMIT_TEXT = (
    "Sorry, access has been blocked temporarily due to request count exceeding acceptable limits. Please try after some time."
)
FaultKind = Literal["lose_answer", "drop_before", "status", "delay", "html_502", "lock_timeout", "rate_limit"]


def authenticate(settings: ChargebeeSettings, header: str | None, method: str) -> None:
    """Check the API key, sent as Basic user with an empty password; raises 401, or 403 for a read-only key."""
    failed = ApiError(
        401,
        "api_authentication_failed",
        "Sorry, authentication with the API failed. Are you sure you're using the right API key?",
        kind=None,
    )
    if header is None or not header.lower().startswith("basic "):
        raise failed
    try:
        key = base64.b64decode(header[6:], validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        raise failed from None
    if key in settings.read_only_keys and method != "GET":
        raise ApiError(403, "api_authorization_failed", "The API key is read-only.", kind=None)
    if key != settings.api_key and key not in settings.read_only_keys:
        raise failed


@dataclass
class Gate:
    """Requests a minute and requests at a time; both answer 429 when exceeded."""

    settings: ChargebeeSettings
    clock: Clock
    running: int = 0
    highest_running: int = 0
    refused: int = 0
    _window: int = -1
    _used: int = 0

    def enter(self) -> None:
        """Count a request; raises ApiError 429 with Retry-After, in seconds, when there are too many."""
        window = int(self.clock.elapsed() / self.settings.minute_seconds)
        if window != self._window:
            self._window, self._used = window, 0
        self._used += 1
        if self._used > self.settings.requests_per_minute or self.running >= self.settings.concurrent_requests:
            self.refused += 1
            wait = self.settings.minute_seconds * (window + 1) - self.clock.elapsed()
            raise rate_limited(max(1, round(wait)))
        self.running += 1
        self.highest_running = max(self.highest_running, self.running)

    def leave(self) -> None:
        """End a request that `enter` let in."""
        self.running -= 1


def rate_limited(retry_after_seconds: int) -> ApiError:
    """The 429 of a site whose calls are all refused until the minute is over."""
    return ApiError(
        429,
        "api_request_limit_exceeded",
        LIMIT_TEXT,
        kind="operation_failed",
        headers={"Retry-After": str(retry_after_seconds)},
    )


@dataclass
class Remembered:
    """The first answer to an idempotency key; `status` is 0 while the first call still runs."""

    fingerprint: str
    at_seconds: float
    status: int = 0
    body: bytes = b""


@dataclass
class IdempotencyStore:
    """Keys of POST requests and their answers, forgotten after 30 minutes."""

    settings: ChargebeeSettings
    clock: Clock
    _answers: dict[str, Remembered] = field(default_factory=dict)

    def begin(self, key: str, path: str, body: bytes) -> Remembered | None:
        """Return the remembered answer to replay, or None when this call is the first.

        Raises 409 while the first call still runs and 422 when path or body differ from it.
        """
        if len(key) > 100:
            raise ApiError(400, "invalid_request", "The idempotency key is longer than 100 characters.")
        fingerprint = hashlib.sha256(path.encode() + b"\0" + body).hexdigest()
        found = self._answers.get(key)
        if found is not None and self.clock.elapsed() - found.at_seconds < self.settings.idempotency_seconds:
            if found.fingerprint != fingerprint:
                raise ApiError(422, "unable_to_process_request", "The idempotency key was used before with another request.")
            if found.status == 0:
                raise invalid_state("The previous request is still in progress. Please retry the request")
            return found
        self._answers[key] = Remembered(fingerprint, self.clock.elapsed())
        return None

    def finish(self, key: str, status: int, body: bytes) -> None:
        """Remember an answer; refusals that say nothing about the request itself (429, 5xx) are forgotten."""
        if status == 429 or status >= 500:
            self._answers.pop(key, None)
        elif key in self._answers:
            self._answers[key].status = status
            self._answers[key].body = body


@dataclass
class Fault:
    """One disturbance, used up after `times` requests whose method and path fit."""

    fault: FaultKind
    method: str | None = None
    path_contains: str = ""
    times: int = 1
    status: int = 503
    seconds: float = 1.0
    skip: int = 0

    @classmethod
    def parse(cls, members: dict[str, Any]) -> "Fault":
        """Build a fault from the control call's JSON; raises TypeError for unknown members."""
        return cls(**members)


class Faults:
    """The disturbances still to come, first come first served."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []
        self.used: list[Fault] = []

    def take(self, method: str, path: str) -> Fault | None:
        """The fault this request meets, if any; `skip` lets that many fitting requests pass first."""
        for fault in self.waiting:
            if fault.method not in (None, method) or fault.path_contains not in path:
                continue
            if fault.skip > 0:
                fault.skip -= 1
                return None
            fault.times -= 1
            if fault.times <= 0:
                self.waiting.remove(fault)
                self.used.append(fault)
            return fault
        return None
