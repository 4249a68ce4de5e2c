"""What the mapper asks for in a division of mode ledger."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest
from support.engines import database_for
from support.facts import OCTOBER_5, SITE, customer, invoice, line
from support.mapper_stage import CONFIGURATION, Stage, payment, period, posted, refused

from backbone.configuration import Configuration
from contracts import facts

DAY_IS_OVER = datetime(2026, 10, 5, 23, tzinfo=UTC)  # an hour after midnight in Amsterdam


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


async def test_daily_payments_wait_for_the_end_of_their_day_on_the_sites_clock_and_go_by_control_account(tmp_path: Path):
    data = CONFIGURATION.model_dump()
    accounts = [{"account": "1290"}, {"gateway_account": "gw_2", "account": "1291"}]
    data["divisions"][100001] |= {"payments": "daily", "control_accounts": accounts}
    async with database_for("sqlite", tmp_path, "mapper") as database:
        stage = Stage(database, Configuration.model_validate(data))
        await stage.hear(customer(), invoice(), payment(), payment(id="txn_2", gateway_account_id="gw_2"))
        sale, first, other = await stage.entries()
        assert (sale.mode, sale.bundle, sale.not_before) == ("entry", None, None)
        assert (first.mode, first.bundle, first.not_before) == ("ledger", "1290 2026-10-05", DAY_IS_OVER)
        assert other.bundle == "1291 2026-10-05"
        assert "after its day" in " ".join((await stage.said(facts.DocumentPlanned))[1].explanation)
        await stage.post_all()
        await stage.hear(payment(status="late_failure", updated_at=OCTOBER_5 + 2 * 86_400, version=2))
        mirror = (await stage.entries())[-1]
        assert (mirror.document.suffix, mirror.bundle) == ("R", "1290 2026-10-07")


async def test_two_sites_of_one_division_each_have_the_days_of_their_own_clock(tmp_path: Path):
    """At noon of the fifth in Amsterdam it is six in the morning in New York, and the sixth in Kiritimati."""
    data = CONFIGURATION.model_dump()
    data["divisions"][100001]["payments"] = "daily"
    zones = {"nyc": "America/New_York", "kir": "Pacific/Kiritimati"}
    data["sites"] = {name: {**data["sites"][SITE], "time_zone": zone} for name, zone in zones.items()}
    async with database_for("sqlite", tmp_path, "mapper") as database:
        stage = Stage(database, Configuration.model_validate(data))
        for site in zones:
            said = (customer(), invoice(), payment())
            await stage.hear(*(msgspec.structs.replace(each, site=site, event_id=f"{site}-{each.event_id}") for each in said))
        booked = {(each.document.site, each.document.kind): each for each in await stage.entries()}
    assert {key: each.entry_date for key, each in booked.items()} == {
        ("nyc", "invoice"): date(2026, 10, 5),
        ("nyc", "payment"): date(2026, 10, 5),
        ("kir", "invoice"): date(2026, 10, 6),
        ("kir", "payment"): date(2026, 10, 6),
    }
    assert booked["nyc", "payment"].not_before == datetime(2026, 10, 6, 5, tzinfo=UTC)
    assert booked["kir", "payment"].not_before == datetime(2026, 10, 6, 11, tzinfo=UTC)
    assert booked["nyc", "payment"].customer_ref != booked["kir", "payment"].customer_ref
    assert len({each.command_id for each in booked.values()}) == 4


def test_mode_ledger_needs_its_journal():
    data = CONFIGURATION.model_dump(mode="json", exclude_defaults=True)
    data["divisions"]["100001"]["mode"] = "ledger"
    with pytest.raises(ValueError, match=r"journals\.ledger, a general journal of Exact that allows VAT"):
        Configuration.model_validate(data)
