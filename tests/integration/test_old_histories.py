"""What older releases wrote into their logs is read by this one, and gives the same books to the cent."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from support.engines import database_for
from support.histories import HISTORIES, books

from backbone import event_log
from backbone.configuration import load_configuration
from contracts.envelope import decode
from mapper.rebuild import Rebuild, new_scratch


class Line(msgspec.Struct):
    """A message and whose log it stands in."""

    log: str
    envelope: msgspec.Raw


@pytest.mark.parametrize("directory", sorted(HISTORIES.iterdir()), ids=lambda directory: directory.name)
async def test_a_recorded_history_gives_the_books_of_its_release(tmp_path: Path, directory: Path) -> None:
    lines = [msgspec.json.decode(line, type=Line) for line in (directory / "logs.jsonl").read_bytes().splitlines()]
    assert len(lines) > 50
    async with AsyncExitStack() as stack:
        logs = {}
        for service in sorted({line.log for line in lines}):
            logs[service] = await stack.enter_async_context(database_for("sqlite", tmp_path, service))
            envelopes = [decode(line.envelope) for line in lines if line.log == service]
            async with logs[service].transaction() as connection:
                assert all(await event_log.append_new(connection, [(envelope.subject, envelope) for envelope in envelopes]))
        scratch = await new_scratch(tmp_path / "replayed")
        stack.push_async_callback(scratch.close)
        rebuild = Rebuild(scratch, load_configuration(directory / "kruispost.yaml"))
        assert await rebuild.fold(logs, datetime(2027, 1, 1, tzinfo=UTC)) == len(lines)
        assert await books(scratch) == json.loads((directory / "books.json").read_text())
