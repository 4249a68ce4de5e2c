"""The log as it was: a command that a test runs in its own process sets it up as its own, with an output that it closes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from backbone.telemetry import log

# Of a process in which nothing has set it up: tests read this before they start anything.
_UNTOUCHED = structlog.get_config()


@contextmanager
def log_as_it_was() -> Iterator[None]:
    """Undo at the end what was set meanwhile: later tests read the log too."""
    root, structured = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level
        structlog.configure(**structured)
        vars(log).pop("bind", None)  # what structlog keeps from a logger's first use on


def tell_apart() -> None:
    """Send what others of this process log to its own standard error, so that it is none of a command's output.

    All of it is set: an earlier command may have left processors that ask a logger for what this one has not.
    """
    structlog.configure(**{**_UNTOUCHED, "logger_factory": structlog.PrintLoggerFactory(file=sys.__stderr__)})
    vars(log).pop("bind", None)
