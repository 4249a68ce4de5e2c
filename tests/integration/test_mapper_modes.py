"""What the mapper asks for in a division of mode ledger."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from support.engines import database_for
from support.facts import customer, invoice, line
from support.mapper_stage import CONFIGURATION, Stage, payment, period, posted, refused

from backbone.configuration import Configuration


def in_ledger() -> Configuration:
    """The usual division, which books in mode ledger."""
    data = CONFIGURATION.model_dump(mode="json", exclude_defaults=True)
    division = data["divisions"]["100001"]
    division["mode"] = "ledger"
    division["journals"]["ledger"] = "91"
    return Configuration.model_validate(data)


@pytest.fixture
async def stage(tmp_path: Path):
    async with database_for("sqlite", tmp_path, "mapper") as database:
        yield Stage(database, in_ledger())


async def test_an_invoice_is_lines_of_a_general_entry_with_the_customers_own(stage):
    await stage.hear(customer(), invoice(lines=[line(10_000, 2_100), line(5_000, 450, 9)]))
    (entry,) = await stage.entries()
    assert (entry.kind, entry.mode, entry.journal) == ("general", "ledger", "91")
    assert [(each.gl_account, each.amount_minor, each.vat_amount_minor, each.is_receivable) for each in entry.lines] == [
        ("1300", 17_550, None, True),
        ("8000", -10_000, -2_100, False),
        ("8000", -5_000, -450, False),
    ]
    assert all(each.description.startswith("INV-1") for each in entry.lines)


async def test_what_is_taken_back_is_mirrored_in_the_same_journal(stage):
    kept = [line(10_000, 2_100)]
    await stage.hear(customer(), invoice(lines=kept))
    (entry,) = await stage.entries()
    await stage.hear(posted(entry), invoice(version=2, lines=kept, status="voided"))
    _, mirror = await stage.entries()
    assert (mirror.mode, mirror.journal, mirror.your_ref) == ("ledger", "91", "INV-1/R")
    booked = [(each.gl_account, each.amount_minor, each.vat_amount_minor or 0) for each in entry.lines]
    assert [(each.gl_account, -each.amount_minor, -(each.vat_amount_minor or 0)) for each in mirror.lines] == booked


async def test_a_payment_goes_with_others_too(stage):
    await stage.hear(customer(), payment())
    (entry,) = await stage.entries()
    assert (entry.kind, entry.mode, entry.journal) == ("general", "ledger", "90")


async def test_a_refused_batch_is_planned_again_in_the_next_open_period_of_the_journal(stage):
    for number in (10, 11):
        await stage.hear(period(number, is_open=True, journal="91"))
    await stage.hear(customer(), invoice())
    (entry,) = await stage.entries()
    await stage.hear(period(10, is_open=False, journal="91"), refused(entry, "period_closed"))
    again = (await stage.entries())[-1]
    assert (again.reporting_year, again.reporting_period, again.entry_date) == (2026, 11, date(2026, 10, 5))


def test_mode_ledger_needs_its_journal():
    data = CONFIGURATION.model_dump(mode="json", exclude_defaults=True)
    data["divisions"]["100001"]["mode"] = "ledger"
    with pytest.raises(ValueError, match=r"journals\.ledger, a general journal of Exact that allows VAT"):
        Configuration.model_validate(data)
