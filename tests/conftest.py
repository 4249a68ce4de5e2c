"""What every test and every process that it starts has in its environment."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from support.shared_statements import share_statements
from support.untouched_log import log_as_it_was

# Everything is asked of loopback without TLS; reading the machine's certificates takes 40 ms of each HTTP client.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = os.devnull

share_statements()

# What is collected lives to the end: the collector of reference cycles need not look at it, neither meanwhile nor in each test.
gc.disable()


def pytest_collection_finish() -> None:
    """Leave out what is there by now, and go on as Python does by itself."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """A test that runs a command within this process leaves the log to the next one as it found it."""
    with log_as_it_was():
        yield
