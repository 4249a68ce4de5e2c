"""The first process of a container (PID 1) ends on SIGTERM also while it still imports what it needs.

Linux gives that process no default action: without a handler the signal is dropped, and the container lives until it is
killed. Each package that can be started imports this before anything else; `backbone.process` replaces the handler by one
that drains.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

FIRST = 1


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if os.getpid() == FIRST:
    signal.signal(signal.SIGTERM, _end)
