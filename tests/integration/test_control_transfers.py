"""What stands on a former control account, until a person booked it to the new one in Exact and the ledger shows it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.engines import DATABASES, settings_for
from support.facts import customer, invoice
from support.installation import Installation
from support.mapper_stage import CONFIGURATION, Stage, payment

from backbone.database import Database
from backbone.migrations import migrate
from exact_writer.tables import ledger_lines

DIVISION = 100001
WRITTEN = {
    "control_accounts": [{"account": "1291"}],
    "journals": {"invoices": "70", "credit_notes": "70", "payments": "90", "settlements": "91"},
    "settlements": {"payout_account": "1280", "fee_account": "4600"},
}
PAYOUT = """automatic_payout_id,automatic_payout_effective_at,currency,gross,fee,net,reporting_category,charge_id
po_1,2026-10-07,eur,121.00,1.85,119.15,charge,ch_1
"""


@pytest.fixture(params=DATABASES)
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Installation, Database]]:
    """A mapper and, beside it, what the writer read of Exact."""
    async with settings_for(request.param, tmp_path / "data") as settings:
        mapper, writer = (Database.open(settings, name) for name in ("mapper", "exact-writer"))
        try:
            await migrate(mapper, "mapper")
            await migrate(writer, "exact-writer")
            url = {} if settings.database_url is None else {"KRUISPOST_DATABASE_URL": settings.database_url}
            yield Installation(Stage(mapper, CONFIGURATION), tmp_path, url), writer
        finally:
            await mapper.close()
            await writer.close()


async def booked_by_hand(writer: Database, entry: str, sums: dict[str, int], day: date = date(2026, 10, 9)) -> None:
    """Exact's ledger shows an entry of a person's; amounts in hundredths by account."""
    rest: dict[str, Any] = {"timestamp": 1, "entry_number": 1, "line_type": 0, "type": 90, "journal": "90", "day": day}
    rest |= {"year": day.year, "period": day.month, "currency": "EUR", "description": "overboeking"}
    rows = [
        {"division": DIVISION, "line_id": f"{entry}-{place}", "entry_id": entry, "line_number": place, "account": account}
        | {"dc_hundredths": amount, "fc_hundredths": amount, **rest}
        for place, (account, amount) in enumerate(sums.items(), 1)
    ]
    async with writer.transaction() as connection:
        await connection.execute(sa.insert(ledger_lines), rows)


async def standing(installed: Installation, on: str = "2026-10-10") -> list[tuple[str, int, list[tuple[str, int]], int]]:
    """Return each account's balance, what is to be booked to which other one, and what nothing explains."""
    _, told = await installed.json("control-accounts", "--on", on)
    return [
        (
            each["account"],
            each["balance_minor"],
            [(other["account"], other["amount_minor"]) for other in each["paid_out_over"]],
            each["unexplained_minor"],
        )
        for each in told["accounts"]
    ]


async def changed_account(installed: Installation) -> None:
    """The mapping names another control account, and what stands on the former one is paid out over it."""
    await installed.stage.hear(customer(), invoice(), payment(id_at_gateway="ch_1"))
    installed.write(installed.directory / "kruispost.yaml", **WRITTEN)
    (installed.directory / "payouts.csv").write_text(PAYOUT)
    command = ("import-settlement", str(installed.directory / "payouts.csv"), "--gateway", "stripe", "--account", "gw_1")
    assert (await installed.json(*command))[0] == 0


async def test_a_transfer_that_was_booked_by_hand_is_named_no_more_once_exact_shows_it(
    both: tuple[Installation, Database],
) -> None:
    installed, writer = both
    await changed_account(installed)
    named = [("1290", 12_100, [("1291", 12_100)], 0), ("1291", -12_100, [("1290", -12_100)], 0)]
    assert await standing(installed) == named
    await booked_by_hand(writer, "fee", {"1290": 500, "4600": -500})
    await booked_by_hand(writer, "three", {"1290": -100, "1291": 40, "4600": 60})
    assert await standing(installed) == named, "an entry that is no transfer was taken for one"
    await booked_by_hand(writer, "part", {"1290": -10_000, "1291": 10_000})
    assert await standing(installed) == [("1290", 2_100, [("1291", 2_100)], 0), ("1291", -2_100, [("1290", -2_100)], 0)]
    await booked_by_hand(writer, "rest", {"1291": 2_100, "1290": -2_100})
    assert await standing(installed) == [("1290", 0, [], 0), ("1291", 0, [], 0)]
    assert await standing(installed, "2026-10-08") == named, "it was booked only the day after"
    await booked_by_hand(writer, "twice", {"1291": 2_100, "1290": -2_100})
    assert await standing(installed) == [("1290", -2_100, [("1291", -2_100)], 0), ("1291", 2_100, [("1290", 2_100)], 0)]


async def test_without_a_reading_of_the_ledger_the_amount_stays_named(both: tuple[Installation, Database]) -> None:
    installed, writer = both
    await changed_account(installed)
    async with writer.transaction() as connection:
        await connection.execute(sa.text(f"ALTER TABLE {ledger_lines.name} RENAME TO gone"))
    assert [each[2] for each in await standing(installed)] == [[("1291", 12_100)], [("1290", -12_100)]]
