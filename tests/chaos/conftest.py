"""How far a test is that takes an hour, told while it runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import pytest

Tell = Callable[[str], None]


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Says on the terminal what comes next and after how many minutes, in `make chaos` only."""
    if os.environ.get("KRUISPOST_CHAOS") != "everywhere":
        return lambda _: None
    capture = request.config.pluginmanager.getplugin("capturemanager")
    began = time.monotonic()

    def tell(what_comes: str) -> None:
        with capture.global_and_fixture_disabled():
            sys.stdout.write(f"\n  {what_comes} (after {(time.monotonic() - began) / 60:.0f} min)")
            sys.stdout.flush()

    return tell
