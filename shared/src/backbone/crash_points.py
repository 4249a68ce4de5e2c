"""Named places at which a test lets the process die as by kill -9, to prove that dying there does no harm."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable

VARIABLE = "KRUISPOST_CRASH_AT"

# A simulation, in which many processes live in one, hears of every passing and lets the one die that it chooses.
watcher: Callable[[str], None] | None = None

_passes: Counter[str] = Counter()


def crash_point(name: str) -> None:
    """Do nothing, unless KRUISPOST_CRASH_AT names this place (`name` or `name:n`): then die at the nth pass."""
    if watcher is not None:
        watcher(name)
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    place, _, nth = wanted.partition(":")
    if place != name:
        return
    _passes[name] += 1
    if _passes[name] == int(nth or "1"):
        os.kill(os.getpid(), signal.SIGKILL)
