"""The errors that decide what happens to a message.

KruispostError             has a stable code and a sentence for people
├── Permanent              no retry can help: the message goes to the dead letters with this reason
├── Transient              the other side is away for a while: the message comes back later
│   └── Backpressure       we ourselves must slow down
├── BrokerUnavailableError the broker cannot be reached; what was to be published is still in the log
├── UnroutableError        a message would have reached no queue
├── StreamConflictError    somebody else appended to the stream first
└── ConfigurationError     the YAML file or the settings cannot be used
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

_CLASS = re.compile(r"^<class '[\w.]+'>: ")


def reason_of(error: BaseException) -> str:
    """One line of a log that says what went wrong: never empty, and of a database's error without the statement that met it."""
    said = str(getattr(error, "orig", None) or error).strip()
    line = _CLASS.sub("", said.partition("\n")[0])
    if not line and isinstance(error, TimeoutError):
        return "no answer in time"
    return line or type(error).__name__


class OnceMore(Exception):  # noqa: N818 - the name says what becomes of the message
    """Not an error: what was done of a message is rolled back, and it is handled again at once, by `handle`.

    For a handler that finds out too late that it needs a lock which the transaction should have begun with.
    """

    def __init__(self, handle: Callable[..., Awaitable[None]]) -> None:
        super().__init__()
        self.handle = handle


class KruispostError(Exception):
    """An error with a stable snake_case `code` and one `sentence` that says what happened and what to do."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{sentence} [{code}]")
        self.code = code
        self.sentence = sentence


class Permanent(KruispostError):  # noqa: N818 - the name says what becomes of the message
    """No retry can help; the message goes to the dead letters, where people see the code and the sentence."""


class Transient(KruispostError):  # noqa: N818 - the name says what becomes of the message
    """It may work later; the message comes back after `retry_after_seconds`, or after the queue's next delay when None."""

    def __init__(
        self,
        retry_after_seconds: float | None = None,
        *,
        code: str = "temporarily_unavailable",
        sentence: str = "A system that is needed does not answer now; the message is tried again by itself.",
    ) -> None:
        super().__init__(code, sentence)
        self.retry_after_seconds = retry_after_seconds


class Backpressure(Transient):
    """The budget or a full buffer asks us to slow down; nothing is wrong with the message."""


class BrokerUnavailableError(KruispostError):
    """The broker cannot be reached now."""

    def __init__(self, sentence: str) -> None:
        super().__init__("broker_unavailable", sentence)


class UnroutableError(KruispostError):
    """A message would have reached no queue, which would have lost it."""

    def __init__(self, sentence: str) -> None:
        super().__init__("unroutable_message", sentence)


class StreamConflictError(KruispostError):
    """The stream is not at the version that the writer expected: somebody else appended first."""

    def __init__(self, stream: str, expected_version: int) -> None:
        super().__init__(
            "stream_conflict", f"Stream {stream} is not at version {expected_version}; read it again and decide anew."
        )
        self.stream = stream
        self.expected_version = expected_version


class ConfigurationError(KruispostError):
    """The configuration file or the settings cannot be used; nothing was started."""

    def __init__(self, sentence: str) -> None:
        super().__init__("configuration_invalid", sentence)
