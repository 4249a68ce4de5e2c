"""How much SQLite's machine does, whatever the load of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

STEPS = 10


@contextmanager
def sqlite_steps() -> Iterator[list[int]]:
    """Count tens of steps of SQLite's machine in all databases that are opened meanwhile."""
    made = [0]

    def count() -> int:
        made[0] += 1
        return 0

    def connected(connection: Any, _: Any) -> None:
        connection.run_async(lambda driver: driver.set_progress_handler(count, STEPS))

    sa.event.listen(sa.engine.Engine, "connect", connected)
    try:
        yield made
    finally:
        sa.event.remove(sa.engine.Engine, "connect", connected)
