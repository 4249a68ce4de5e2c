"""Named places at which a test lets the process die as by kill -9, to prove that dying there does no harm."""

from __future__ import annotations

import os
import signal
from collections import Counter

VARIABLE = "KRUISPOST_CRASH_AT"

_passes: Counter[str] = Counter()


def crash_point(name: str) -> None:
    """Do nothing, unless KRUISPOST_CRASH_AT names this place (`name` or `name:n`): then die at the nth pass."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    place, _, nth = wanted.partition(":")
    if place != name:
        return
    _passes[name] += 1
    if _passes[name] == int(nth or "1"):
        os.kill(os.getpid(), signal.SIGKILL)
