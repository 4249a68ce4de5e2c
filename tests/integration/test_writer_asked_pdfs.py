"""The PDF that a person asked for goes before all that waits."""

from __future__ import annotations

from pathlib import Path

from support.exact_server import DIVISION
from support.faulty_exact import Rehearsal, rehearsal
from support.writer_stage import CONFIGURATION, sale, save_account

from exact_writer import attachments
from exact_writer.asking import queue

SALES, FILES = "salesentry/SalesEntries", "documents/DocumentAttachments"


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
