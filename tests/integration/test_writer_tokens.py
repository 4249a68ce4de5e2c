"""Tokens when things go wrong: no connection is lost that Exact did not end, and when a person is needed everything waits."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.exact_server import DIVISION
from support.faults import AFTER, FAULTS, TAKEN_OVER
from support.faulty_exact import Rehearsal, check, rehearsal
from support.writer_stage import sale, save_account

from exact_writer.auth import REFUSED_RETRY_SECONDS, TOO_EARLY_RETRY_SECONDS

TOKEN = ("POST", "oauth2/token")
OLD_ENOUGH, EXPIRED = 580.0, 700.0
# Late calls and take-overs are of the division's; the database that goes away has a test of its own.
UNTRIED = ("late", "loses_database", *TAKEN_OVER)


async def connected(stage: Rehearsal) -> None:
    """A writer that has worked, with a token that is about to be renewed."""
    await stage.plan(save_account("FIRST"))
    await stage.work()
    stage.clock.advance(OLD_ENOUGH)
    await stage.plan(sale("INV-1", "FIRST"))


async def is_booked(stage: Rehearsal) -> None:
    """The document that waited is booked, once, and the writer is connected."""
    await stage.work()
    check(stage, "tokens", [sale("INV-1", "FIRST")])
    assert await stage.complaint() is None


async def test_a_database_that_is_away_when_the_new_tokens_come_costs_no_login(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as stage:
        await connected(stage)
        stage.exact.planned.append(("loses_database", *TOKEN))
        await stage.act(1, restart=False)
        assert stage.exact.struck == ["loses_database"]
        await is_booked(stage)


async def test_dying_before_the_new_tokens_are_stored_needs_a_person_and_loses_nothing(tmp_path: Path) -> None:
    """Exact has killed the old refresh token by then and gives no second chance: all that can be done is to wait and say so."""
    async with rehearsal(tmp_path) as stage:
        await connected(stage)
        stage.exact.planned.append(("dies_after", *TOKEN))
        assert not await stage.act(20)
        assert "kruispost login" in str(await stage.complaint())
        assert len(await stage.open_commands()) == 1
        calls = stage.simulator.authority.token_calls
        await stage.act(20)
        assert stage.simulator.authority.token_calls == calls, "a dead refresh token was tried again"
        await stage.log_in()
        await is_booked(stage)


async def test_whatever_goes_wrong_at_the_token_endpoint_is_waited_out_or_told(tmp_path: Path) -> None:
    """What strikes before Exact renewed the pair costs time. After it the old pair is dead and the new one nobody has."""
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"))
        await stage.work()
        for fault in FAULTS:
            if fault in UNTRIED:
                continue
            stage.clock.advance(OLD_ENOUGH)
            await stage.plan(sale(fault[:20], "FIRST"))
            stage.exact.planned.append((fault, *TOKEN))
            if fault in AFTER:
                assert not await stage.act(20), fault
                assert "kruispost login" in str(await stage.complaint()), fault
                await stage.log_in()
            await stage.work()
            assert stage.exact.struck == [fault]
            stage.exact.struck.clear()
            check(stage, fault, [sale(fault[:20], "FIRST")])
            assert await stage.complaint() is None, fault


@pytest.mark.parametrize("seconds", [-7200.0, 7200.0])
async def test_a_clock_that_jumps_costs_neither_the_connection_nor_many_token_calls(tmp_path: Path, seconds: float) -> None:
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"))
        await stage.work()
        calls = stage.simulator.authority.token_calls
        stage.shift_our_clock(seconds)
        for minute in range(12):
            await stage.plan(sale(f"INV-{minute}", "FIRST"))
            stage.clock.advance(TOO_EARLY_RETRY_SECONDS)
            await stage.work()
        check(stage, seconds, [sale(f"INV-{minute}", "FIRST") for minute in range(12)])
        assert stage.simulator.authority.token_calls - calls <= 15
        assert await stage.complaint() is None


async def test_a_wrong_secret_or_too_many_calls_spoil_no_tokens(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as stage:
        await connected(stage)
        clients = stage.simulator.authority.clients
        (client_id, secret), *_ = clients.items()
        clients[client_id] = "changed"
        stage.clock.advance(EXPIRED)
        await stage.act(5)
        assert "invalid_client" in str(await stage.complaint())
        clients[client_id] = secret
        stage.clock.advance(REFUSED_RETRY_SECONDS)
        await is_booked(stage)


async def test_an_app_that_was_revoked_needs_a_person_and_loses_nothing(tmp_path: Path) -> None:
    """Exact refuses the token at once, but gives no other before its time: only then it says that none will come."""
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"))
        await stage.work()
        authority, traffic = stage.simulator.authority, stage.simulator.traffic
        token_calls, calls = authority.token_calls, traffic.total
        authority.revoke(next(iter(authority.clients)))
        await stage.plan(sale("INV-1", "FIRST"))
        await stage.act(60)
        assert "kruispost login" in str(await stage.complaint())
        assert len(await stage.open_commands()) == 1
        assert (authority.token_calls - token_calls, traffic.total - calls) == (1, 1)
        await stage.log_in()
        await is_booked(stage)


async def test_a_refresh_token_that_expired_needs_a_person_and_loses_nothing(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as stage:
        await connected(stage)
        stage.clock.advance(31 * 86_400)
        await stage.act(5)
        assert "expired at" in str(await stage.complaint())
        await stage.log_in()
        await is_booked(stage)


async def test_an_hour_of_maintenance_is_logged_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    async with rehearsal(tmp_path) as stage:
        await stage.plan(save_account("FIRST"))
        await stage.work()
        stage.exact.maintenance_seconds = 3_600.0
        stage.exact.planned.append(("maintenance", "POST", "salesentry/SalesEntries"))
        await stage.plan(sale("INV-1", "FIRST"))
        with capture_logs() as logs:
            await stage.work()
        check(stage, "maintenance", [sale("INV-1", "FIRST")])
        told = [each for each in logs if each["event"].startswith("Exact ")]
        *begun, over = [(each["event"], each.get("kind")) for each in told]
        assert begun == [
            ("Exact does not work with us for now", "no_answer"),
            ("Exact does not work with us for now", "no_token"),
        ]
        assert over == ("Exact works with us again", None)
        assert told[-1]["after_seconds"] == pytest.approx(3_600.0, abs=300)
        in_vain = [stage.counted("exact_tries_in_vain", division=str(DIVISION), kind=kind) for kind in ("no_answer", "no_token")]
        assert told[-1]["tries_in_vain"] == sum(in_vain)
        assert stage.counted("exact_token_refreshes", outcome="failed") < 20, "Exact takes 200 calls a day"
