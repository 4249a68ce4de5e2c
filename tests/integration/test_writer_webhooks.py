"""What Exact's webhooks change: what they tell is asked for at once, and never with more calls than the polls would have made."""

import msgspec
import pytest
from support.exact_server import DIVISION
from support.virtual_writer import virtual_writer
from support.writer_stage import payment, said, sale, save_account

from contracts import facts
from contracts.parcels import ChangeHinted
from exact_writer.forecast import forecast
from exact_writer.hearing import LISTENING_SECONDS, MOST_KEPT, PAYMENTS
from exact_writer.outlook import limits_of, outlook_of
from exact_writer.polling import ATTENTIVE_SECONDS, LISTENING_FACTOR, STATEMENTS_A_DAY, idle_polls_a_minute
from exact_writer.tables import REFUSED, hints, webhook_topics

TERMS = "sync/Cashflow/PaymentTerms"
POLL_SECONDS = 30.0
SOMETHING = "b1f0e2c0-0001-4000-8000-000000000001"  # that is not ours
DEAREST_READING = 6  # the periods and their status for each journal, a page after the other


class Heard:
    """A writer in virtual time, to which webhooks come."""

    def __init__(self, stage):
        self.stage = stage

    def now(self):
        return self.stage.clock.seconds()

    async def hear(self, topic="BankEntries", *keys, has_deleted=False):
        hint = ChangeHinted(division=DIVISION, topic=topic, heard_at=self.now(), keys=keys, has_deleted=has_deleted)
        async with self.stage.database.transaction() as connection:
            await self.stage.writer.hearing.take(connection, hint)
        self.stage.writer.wake()

    async def run(self, seconds):
        await self.stage.run(self.now() + seconds)

    async def asked(self, endpoint=TERMS):
        return (await self.stage.server.calls())["by_endpoint"].get(f"GET {endpoint}", 0)

    async def paid(self):
        return [fact for fact in await said(self.stage.database, facts.ReceivableObserved) if fact.is_fully_paid]

    async def receive(self, number):
        await self.stage.server.control(
            "bank-receipts", division=DIVISION, your_ref=number, amount_minor=12_100, date="2026-03-20"
        )

    async def waiting(self):
        async with self.stage.database.reading() as connection:
            return (await connection.execute(hints.select())).all()


@pytest.fixture
async def heard(tmp_path):
    async with virtual_writer(tmp_path, poll_seconds=POLL_SECONDS) as stage:
        each = Heard(stage)
        await stage.plan(save_account(), sale("INV-1"), sale("INV-2"))
        await each.run(60)
        yield each


async def test_a_receipt_of_which_a_webhook_tells_is_seen_at_once_and_one_of_which_none_tells_by_the_polls_that_stay(heard):
    await heard.hear()
    await heard.run(ATTENTIVE_SECONDS + LISTENING_FACTOR * POLL_SECONDS)
    before = await heard.asked()
    await heard.receive("INV-1")
    await heard.run(2)
    assert await heard.paid() == []
    await heard.hear("BankEntries", SOMETHING)
    await heard.run(2)
    assert {fact.document.number for fact in await heard.paid() if fact.document} == {"INV-1"}
    assert await heard.asked() == before + 1
    assert await heard.waiting() == []
    await heard.run(ATTENTIVE_SECONDS)
    await heard.receive("INV-2")  # and its webhook gets lost
    await heard.run(LISTENING_FACTOR * POLL_SECONDS + 1)
    assert {fact.document.number for fact in await heard.paid() if fact.document} == {"INV-1", "INV-2"}


async def test_while_webhooks_are_heard_and_nothing_happens_polls_are_ten_times_rarer_and_come_back_when_none_is_heard(heard):
    before = await heard.asked()
    await heard.run(1_500)
    without = await heard.asked() - before
    await heard.hear()
    await heard.run(ATTENTIVE_SECONDS + LISTENING_FACTOR * POLL_SECONDS)
    before = await heard.asked()
    await heard.run(1_500)
    assert without == 1_500 / POLL_SECONDS
    assert await heard.asked() - before == 1_500 / POLL_SECONDS / LISTENING_FACTOR
    heard.stage.clock.advance(LISTENING_SECONDS)
    await heard.run(10)
    before = await heard.asked()
    await heard.run(300)
    assert await heard.asked() - before == 300 / POLL_SECONDS


async def test_ten_thousand_webhooks_cost_no_more_calls_than_the_polls_of_their_time(heard):
    topics = ("BankEntries", "Accounts", "GLAccounts", "JournalStatusList")
    calls = {}
    for kind in ("silence", "flood"):
        before = (await heard.stage.server.calls())["total"]
        for moment in range(60):  # as ingest lets them through: one message a topic every five seconds
            for topic in topics if kind == "flood" else ():
                await heard.hear(topic, *(f"{topic}-{moment}-{number}" for number in range(42)))
            await heard.run(5)
        calls[kind] = (await heard.stage.server.calls())["total"] - before
    assert calls["flood"] <= calls["silence"] + DEAREST_READING
    for endpoint in ("sync/CRM/Accounts", "sync/Financial/GLAccounts", "read/financial/JournalStatusList", TERMS):
        assert await heard.asked(endpoint) >= 3, "a flood of one topic keeps the others waiting for no more than their turn"
    assert len(await heard.waiting()) < 10_000


async def test_our_own_bookings_come_back_and_cost_no_call(heard):
    await heard.hear()
    await heard.run(ATTENTIVE_SECONDS + 100)
    await heard.stage.plan(payment("PAY-1"))
    await heard.run(3)
    (posted,) = [fact for fact in await said(heard.stage.database, facts.EntryPosted) if fact.document.number == "PAY-1"]
    (saved,) = await said(heard.stage.database, facts.AccountSaved)
    before = (await heard.stage.server.calls())["total"]
    await heard.hear("GeneralJournalEntries", posted.entry_id.upper())
    await heard.run(10)
    assert (await heard.stage.server.calls())["total"] == before
    assert await heard.waiting() == []
    await heard.hear("Accounts", saved.account_id)  # its sending is long ago: somebody changed it
    await heard.run(10)
    assert (await heard.stage.server.calls())["total"] == before + 1


async def test_a_closed_period_is_told_at_once(heard):
    await heard.hear()
    await heard.run(ATTENTIVE_SECONDS + 2 * POLL_SECONDS)
    await heard.stage.server.control("periods", division=DIVISION, journal="70", year=2026, period=1, open=False)
    await heard.hear("JournalStatusList", SOMETHING)
    await heard.run(5)
    (closed,) = [fact for fact in await said(heard.stage.database, facts.PeriodObserved) if not fact.is_open]
    assert (closed.journal, closed.year, closed.period) == ("70", 2026, 1)


async def test_a_deletion_is_looked_for_beside_what_its_topic_says(heard):
    before = await heard.asked("sync/Deleted")
    await heard.hear("BankEntries", SOMETHING, has_deleted=True)
    await heard.run(2 * POLL_SECONDS)
    assert await heard.asked("sync/Deleted") == before + 1
    assert await heard.waiting() == []


async def test_what_was_heard_is_still_asked_for_after_a_restart_and_a_topic_that_nothing_hangs_on_is_dropped(heard):
    await heard.hear("Quotations", SOMETHING)
    assert await heard.waiting() == []
    await heard.run(POLL_SECONDS)
    await heard.hear("GLAccounts")
    before = await heard.asked("sync/Financial/GLAccounts")
    await heard.stage.restart()
    await heard.run(2 * POLL_SECONDS)
    assert await heard.asked("sync/Financial/GLAccounts") == before + 1


async def test_while_nothing_can_be_asked_hints_take_no_more_room_and_are_asked_for_in_the_end(heard):
    await heard.run(POLL_SECONDS)
    before = await heard.asked("sync/CRM/Accounts")
    for moment in range(12):
        await heard.hear("Accounts", *(f"account-{moment}-{number}" for number in range(100)))
        await heard.hear("GLAccounts", SOMETHING)
        of_accounts = [hint for hint in await heard.waiting() if hint.part == "account"]
        assert 0 < len(of_accounts) <= MOST_KEPT
    await heard.run(4 * POLL_SECONDS)
    assert await heard.asked("sync/CRM/Accounts") == before + 1
    assert await heard.waiting() == []


async def test_what_is_heard_while_the_same_is_asked_for_is_asked_for_again(heard):
    hearing = heard.stage.writer.hearing
    await heard.hear("JournalStatusList", SOMETHING)
    await heard.hear("BankEntries", SOMETHING)
    await hearing.look()
    await hearing.answered(PAYMENTS)
    await heard.hear("JournalStatusList", SOMETHING)  # during the call for periods
    await hearing.answered("period")
    assert [hint.part for hint in await heard.waiting()] == ["period"]


async def test_polls_stay_as_they_were_while_exact_refuses_a_topic_even_if_another_is_heard(heard):
    await heard.hear("GeneralJournalEntries", SOMETHING)
    refused = {"division": DIVISION, "topic": "BankEntries", "state": REFUSED}
    async with heard.stage.database.transaction() as connection:
        await connection.execute(webhook_topics.insert().values(refused))
    await heard.run(ATTENTIVE_SECONDS + LISTENING_FACTOR * POLL_SECONDS)
    before = await heard.asked()
    await heard.run(10 * POLL_SECONDS)
    assert await heard.asked() == before + 10


async def test_in_a_backlog_webhooks_leave_the_calls_of_an_invoice_where_they_were(tmp_path):
    async with virtual_writer(tmp_path, poll_seconds=POLL_SECONDS) as stage:
        each, documents = Heard(stage), 120
        await stage.plan(save_account())
        await each.run(60)
        await stage.plan(*(sale(f"INV-{number}") for number in range(documents)))
        before = (await stage.server.calls())["total"]
        while await stage.waiting():
            await each.hear("BankEntries", SOMETHING)
            await each.hear("Accounts")
            await each.run(10)
        assert (await stage.server.calls())["total"] - before <= documents * 1.02


async def test_the_calls_that_are_kept_for_asking_follow_what_is_asked_while_webhooks_are_heard(tmp_path):
    """A day of silence, and one with a bank statement every six hours: the reserve and the forecast are of what is asked then."""
    async with virtual_writer(tmp_path, poll_seconds=300.0) as stage:
        heard = Heard(stage)
        await heard.run(600)
        asked, kept, expected, seconds = {}, {}, {}, {}
        for listens in (False, True):
            before = await heard.asked()
            for _ in range(STATEMENTS_A_DAY):
                if listens:
                    await heard.hear("BankEntries", SOMETHING)
                await heard.run(86_400 / STATEMENTS_A_DAY)
            asked[listens] = await heard.asked() - before
            async with stage.database.reading() as connection:
                outlook = await outlook_of(connection, DIVISION, heard.now(), poll_seconds=300.0, lists=False, with_pdfs=False)
                limits = await limits_of(connection, DIVISION, heard.now())
            assert outlook.listens is listens
            expected[listens] = 1_440 * idle_polls_a_minute(300.0, 5_000, listens=listens)
            kept[listens] = stage.writer._calls.expected_today / stage.writer._calls.day_seconds_left() * 86_400
            much = msgspec.structs.replace(outlook, waiting={"backfill": 20_000.0}, hourly={"today": (150.0,) * 24})
            seconds[listens] = forecast(much, limits).seconds["backfill"]
    assert {listens: number / expected[listens] for listens, number in asked.items()} == pytest.approx(
        {False: 1, True: 1}, rel=0.15
    )
    assert kept[False] - kept[True] == pytest.approx(asked[False] - asked[True], rel=0.15)
    assert (seconds[True] or 0.0) < (seconds[False] or 0.0), "history gets what is not kept for asking"
