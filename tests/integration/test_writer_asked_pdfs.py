"""The PDF that a person asked for goes before all that waits."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from support.exact_server import DIVISION
from support.faulty_exact import Rehearsal, rehearsal
from support.writer_stage import CONFIGURATION, sale, save_account

from exact_writer import attachments
from exact_writer.asking import queue
from exact_writer.calls import DivisionCalls
from exact_writer.tables import attachments as pdfs

SALES, DOCUMENTS, FILES = "salesentry/SalesEntries", "documents/Documents", "documents/DocumentAttachments"


async def ask(stage: Rehearsal, number: str) -> None:
    """Ask for a document's PDF as `kruispost pdf` does."""
    async with stage.database.transaction() as connection:
        await queue(stage.database, connection, CONFIGURATION, number, None)


async def test_a_pdf_that_a_person_asked_for_goes_before_bookings_and_other_pdfs(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"), sale("INV-1", "FIRST"), sale("INV-2", "FIRST"))
        await stage.work()
        async with stage.database.transaction() as connection:  # the policy queued one, longer ago
            assert await attachments.plan(stage.database, connection, DIVISION, "command-INV-1")
        await ask(stage, "INV-2")
        await stage.plan(*(sale(f"LATER-{place}", "FIRST") for place in range(20)))
        for _ in range(60):
            if stage.rows(FILES):
                break
            await stage.act(1)
        assert [row["FileName"] for row in stage.rows(FILES)] == ["INV-2.pdf"]
        assert len(stage.rows(SALES)) < 12, "bookings went first"
        await stage.work()
        assert len(stage.rows(SALES)) == 22
        assert len(stage.rows(FILES)) == 2


async def test_bookings_go_on_while_exact_does_not_answer_about_the_pdf_that_was_asked_for(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"), sale("INV-1", "FIRST"))
        await stage.work()
        await ask(stage, "INV-1")
        stage.exact.planned += [("timeout_before", "POST", DOCUMENTS), *[("html_502_before", "GET", DOCUMENTS)] * 100]
        await stage.plan(*(sale(f"LATER-{place}", "FIRST") for place in range(20)))
        await stage.act(80)
        assert len(stage.rows(SALES)) == 21
        stage.exact.planned.clear()
        await stage.work()
        assert len(stage.rows(FILES)) == 1


async def test_other_pdfs_keep_their_share_while_one_that_was_asked_for_has_not_come(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"), sale("INV-1", "FIRST"))
        await stage.work()
        await ask(stage, "INV-1")
        async with stage.database.transaction() as connection:
            await connection.execute(sa.update(pdfs).values(state="created", not_before=4e9))
        await stage.plan(*(sale(f"LATER-{place}", "FIRST", pdf=True) for place in range(120)))
        for _ in range(400):
            if stage.rows(FILES):
                break
            await stage.act(1)
        assert len(stage.rows(SALES)) < 121, "all bookings went first"


async def test_a_pdf_that_was_asked_for_needs_no_room_beside_bookings_when_none_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"), sale("INV-1", "FIRST"))
        await stage.work()
        # The rest of the day is expected to be needed by bookings.
        monkeypatch.setattr(DivisionCalls, "room_for_extras_at", lambda *_, **__: 4e9)
        await ask(stage, "INV-1")
        await stage.act(20)
        assert len(stage.rows(FILES)) == 1
