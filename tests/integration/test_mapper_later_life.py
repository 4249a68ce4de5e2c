"""What happens to a document after it was booked: changes, voids, deletions, and its number used again, in any order."""

import asyncio
import itertools
import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.engines import database_for
from support.facts import OCTOBER_5, SITE, customer, envelope, invoice, line, observed
from support.mapper_stage import CONFIGURATION, Stage, books, configured, journal, payment, posted, refused

from backbone.configuration import Configuration
from contracts import facts
from contracts.envelope import Message

DAY = 86_400
FIRST = [line(10_000, 2_100)]
CHANGED = [line(9_000, 1_890)]
OTHER = [line(5_000, 450, 9)]
IN_EURO = {"customer_id": "CUST1", "currency_code": "EUR", "base_currency_code": "EUR"}


@pytest.fixture
async def database(tmp_path: Path):
    async with database_for("sqlite", tmp_path, "mapper") as found:
        yield found


async def test_a_change_is_booked_back_and_booked_anew_by_policy(database):
    stage = Stage(database, configured(changes="correct"))
    await stage.hear(customer(), invoice(lines=FIRST), invoice(version=2, lines=CHANGED, updated_at=OCTOBER_5 + 2 * DAY))
    assert len(await stage.entries()) == 1, "the correction waits until the entry is booked"
    await stage.post_all()
    assert journal(await stage.entries()) == [
        ("INV-1", date(2026, 10, 5), 12_100),
        ("INV-1/2", date(2026, 10, 5), 10_890),
        ("INV-1/R", date(2026, 10, 7), -12_100),
    ]
    await stage.hear(invoice(version=3, lines=FIRST))
    await stage.post_all()
    assert [entry.your_ref for entry in (await stage.entries())[3:]] == ["INV-1/R2", "INV-1/3"]
    assert sum(entry.document.total_minor for entry in await stage.entries()) == 12_100
    assert await stage.reasons() == []


async def test_a_change_that_was_held_is_corrected_when_the_policy_says_so(database):
    before = Stage(database)
    await before.hear(customer(), invoice(lines=FIRST))
    await before.post_all()
    await before.hear(invoice(version=2, lines=CHANGED))
    assert await before.reasons() == ["changed_after_booking"]
    after, stop = Stage(database, configured(changes="correct")), asyncio.Event()
    worker = asyncio.create_task(after.mapper.replan_changed_mapping(stop))
    async with asyncio.timeout(20):
        while len(await after.entries()) == 1:  # noqa: ASYNC110 - a worker's work is seen in the log only
            await asyncio.sleep(0.02)
    stop.set()
    await worker
    await after.post_all()
    assert [entry.your_ref for entry in await after.entries()] == ["INV-1", "INV-1/R", "INV-1/2"]


async def test_a_state_that_cannot_be_booked_leaves_the_old_entry_and_says_why(database):
    stage = Stage(database, configured(changes="correct"))
    await stage.hear(customer(), invoice(lines=FIRST))
    await stage.post_all()
    await stage.hear(invoice(version=2, lines=[line(9_000, 720, 8)]))
    assert await stage.reasons() == ["no_vat_code"]
    assert len(await stage.entries()) == 1
    await stage.hear(invoice(version=3, lines=CHANGED))
    await stage.post_all()
    assert [entry.your_ref for entry in await stage.entries()] == ["INV-1", "INV-1/R", "INV-1/2"]


async def test_a_change_that_is_taken_back_needs_nobody_any_more(database):
    stage = Stage(database)
    await stage.hear(customer(), invoice(lines=FIRST))
    await stage.post_all()
    await stage.hear(invoice(version=2, lines=CHANGED), invoice(version=3, lines=FIRST))
    held, planned = (await stage.said(facts.DocumentHeld, facts.DocumentPlanned))[-2:]
    assert held.code == "changed_after_booking"
    assert "changes: correct" in held.action
    assert (planned.command_id, planned.explanation) == (
        (await stage.entries())[0].command_id,
        ("The document is again as it was booked.",),
    )


async def test_a_change_that_was_told_before_another_hold_is_told_again_when_the_entry_is_there(database):
    stage = Stage(database)
    await stage.hear(customer(), invoice(lines=FIRST), invoice(version=2, lines=CHANGED))
    [entry] = await stage.entries()
    await stage.hear(
        facts.AccountRefused(division=100001, customer_ref=entry.customer_ref, code="other", message="no"),
        facts.AccountSaved(division=100001, customer_ref=entry.customer_ref, account_id="a", created=True),
        posted(entry),
    )
    assert await stage.reasons() == ["changed_after_booking", "customer_refused", "changed_after_booking"]


async def test_a_reversal_goes_to_the_customer_that_was_booked(database):
    stage = Stage(database, configured(changes="correct"))
    await stage.hear(customer(), customer("CUST2"), invoice(lines=FIRST))
    await stage.post_all()
    await stage.hear(invoice(version=2, lines=FIRST, customer_id="CUST2"))
    assert len(await stage.entries()) == 1, "moving to another customer alone changes nothing that is booked"
    await stage.hear(invoice(version=3, lines=[line(9_000, 1_890)], customer_id="CUST2"))
    await stage.post_all()
    refs = [(entry.your_ref, entry.customer_ref.rpartition("/")[2]) for entry in await stage.entries()]
    assert refs == [("INV-1", "CUST1"), ("INV-1/R", "CUST1"), ("INV-1/2", "CUST2")]


async def test_a_refused_reversal_is_shown_and_booked_when_tried_again(database):
    stage = Stage(database)
    await stage.hear(customer(), invoice(lines=FIRST))
    await stage.post_all()
    await stage.hear(invoice(version=2, lines=FIRST, status="voided", voided_at=OCTOBER_5 + DAY))
    mirror = (await stage.entries())[-1]
    await stage.hear(refused(mirror, "other"))
    [held] = await stage.said(facts.DocumentHeld)
    assert (held.code, held.document.suffix) == ("exact_refused", "R")
    await stage.hear(customer(version=2))
    assert len(await stage.entries()) == 2, "nothing changed, so it is not tried again"


async def test_a_division_that_left_the_configuration_holds_what_it_should_book_back(database):
    before = Stage(database)
    await before.hear(customer(), invoice(lines=FIRST))
    await before.post_all()
    dump = CONFIGURATION.model_dump()
    dump["sites"][SITE] |= {"division": 100002, "business_entities": {}}
    dump["divisions"] = {100002: dump["divisions"][100001]}
    moved = Stage(database, Configuration.model_validate(dump))
    await moved.hear(invoice(version=2, lines=FIRST, status="voided", voided_at=OCTOBER_5 + DAY))
    [held] = await moved.said(facts.DocumentHeld)
    assert (held.code, held.document.suffix) == ("division_not_configured", "R")
    assert "divisions.100001" in held.action
    await before.hear(invoice(version=3, lines=FIRST, status="voided", voided_at=OCTOBER_5 + DAY))
    assert [entry.division for entry in await before.entries()] == [100001, 100001]


class CrashError(Exception):
    """The process dies before its commit."""


def die(*, now: bool) -> None:
    if now:
        raise CrashError


async def test_a_crash_before_any_commit_books_each_step_once(database):
    stage = Stage(database, configured(changes="correct"))
    happened = [customer(), *two_lives()[:2], *two_lives()[2:3], invoice("INV-9", version=1, lines=FIRST)]
    happened.append(invoice("INV-9", version=2, lines=CHANGED))

    async def hear_and_crash(fact: Message) -> None:
        told = envelope(fact)
        for dies in (True, False, False):
            try:
                async with database.transaction() as connection:
                    await stage.mapper.handle(connection, told, fact)
                    die(now=dies)
            except CrashError:
                continue

    for fact in happened:
        await hear_and_crash(fact)
        while fresh := [entry for entry in await stage.entries() if entry.command_id not in stage.posted]:
            for entry in fresh:
                stage.posted.add(entry.command_id)
                await hear_and_crash(posted(entry))
    assert [entry.your_ref for entry in await stage.entries()] == [
        "INV-1",
        "INV-1/R",
        "INV-1#2",
        "INV-9",
        "INV-9/R",
        "INV-9/2",
    ]


@pytest.mark.parametrize("end", ["voided", "deleted"])
async def test_what_ended_before_it_was_booked_is_booked_both_ways_or_told_as_a_gap(database, end, tmp_path):
    gone = (
        {"voided_at": OCTOBER_5 + DAY, "status": "voided"}
        if end == "voided"
        else {"deleted": True, "updated_at": OCTOBER_5 + DAY}
    )
    both = Stage(database)
    await both.hear(customer(), invoice(version=2, lines=FIRST, **gone))
    await both.post_all()
    assert journal(await both.entries()) == [("INV-1", date(2026, 10, 5), 12_100), ("INV-1/R", date(2026, 10, 6), -12_100)]
    async with database_for("sqlite", tmp_path / "other", "mapper") as other:
        skip = Stage(other, configured(voided_before_booking="skip"))
        await skip.hear(customer(), invoice(version=2, lines=FIRST, **gone))
        assert await skip.entries() == []
        [gap] = await skip.said(facts.DocumentSetAside)
        assert (gap.code, gap.document.number) == ("gone_before_booking", "INV-1")


async def test_what_is_dated_before_the_first_day_is_known_and_never_booked(database):
    stage = Stage(database, configured(book_from="2026-10-06", changes="correct"))
    await stage.hear(customer(), invoice(lines=FIRST))
    await stage.hear(invoice(lines=CHANGED, version=2, updated_at=OCTOBER_5 + 2 * DAY))
    await stage.hear(invoice(lines=CHANGED, version=3, status="voided", voided_at=OCTOBER_5 + 3 * DAY))
    assert await stage.entries() == []
    told = (await stage.said(facts.DocumentSetAside))[0]
    assert (told.code, told.document.number) == ("before_book_from", "INV-1")
    assert "2026-10-05" in told.sentence
    assert "2026-10-06" in told.sentence
    note = {"type": "adjustment", "status": "adjusted", "total": 12_100, "tax": 2_100, "line_items": FIRST, **IN_EURO}
    credit = observed(facts.CreditNoteObserved, {"id": "CN-1", "reference_invoice_id": "INV-1", "date": OCTOBER_5 + DAY, **note})
    await stage.hear(invoice("INV-2", date=OCTOBER_5 + DAY), payment(date=OCTOBER_5 + DAY), credit)
    booked = [entry.your_ref for entry in await stage.entries()]
    assert booked == ["INV-2", "txn_1", "CN-1"], "a new payment and a new credit note of an old invoice are booked"


async def test_a_first_day_that_is_set_later_leaves_the_life_of_what_is_booked(database):
    before = Stage(database)
    await before.hear(customer(), invoice(lines=FIRST))
    await before.post_all()
    after = Stage(database, configured(book_from="2026-11-01", changes="correct"))
    await after.hear(invoice(version=2, status="voided", voided_at=OCTOBER_5 + DAY, lines=FIRST))
    await after.post_all()
    assert [entry.your_ref for entry in await after.entries()] == ["INV-1", "INV-1/R"]


async def test_a_void_that_makes_a_credit_note_is_booked_by_that_note_alone(database):
    stage = Stage(database)
    listed = [{"cn_id": "CN-1", "cn_total": 12_100, "cn_status": "adjusted"}]
    void: dict[str, Any] = {"status": "voided", "voided_at": OCTOBER_5 + DAY, "lines": FIRST}
    await stage.hear(customer(), invoice(lines=FIRST), invoice(version=2, adjustment_credit_notes=listed, **void))
    await stage.hear(invoice("INV-2", adjustment_credit_notes=[{**listed[0], "cn_status": "voided"}], **void))
    await stage.post_all()
    assert [entry.your_ref for entry in await stage.entries()] == ["INV-1", "INV-2", "INV-2/R"]


async def test_a_draft_that_is_deleted_was_never_a_document(database):
    stage = Stage(database)
    await stage.hear(customer(), invoice(version=2, status="pending", deleted=True))
    assert await stage.reasons() == ["deleted"]


def two_lives() -> list[facts.Observed]:
    """INV-1 is made, paid out of order, deleted, and its number given to another invoice, which is paid."""
    ended: dict[str, Any] = {"deleted": True, "updated_at": OCTOBER_5 + 2 * DAY}
    return [
        invoice(version=1, lines=FIRST),
        invoice(version=5, lines=FIRST, **ended),
        invoice(version=9, lines=OTHER, date=OCTOBER_5 + 3 * DAY),
        invoice(version=12, lines=OTHER, date=OCTOBER_5 + 3 * DAY, status="paid"),
    ]


async def test_a_number_that_is_used_again_is_another_document(database):
    stage = Stage(database)
    await stage.hear(customer())
    for fact in two_lives():
        await stage.hear(fact)
        await stage.post_all()
    assert journal(await stage.entries()) == [
        ("INV-1", date(2026, 10, 5), 12_100),
        ("INV-1#2", date(2026, 10, 8), 5_450),
        ("INV-1/R", date(2026, 10, 7), -12_100),
    ]
    await stage.hear(invoice(version=20, lines=OTHER, date=OCTOBER_5 + 3 * DAY, status="voided", voided_at=OCTOBER_5 + 4 * DAY))
    await stage.post_all()
    mirror = (await stage.entries())[-1]
    assert (mirror.your_ref, mirror.document.suffix) == ("INV-1#2/R", "#2/R")


ORDERS = [(changes, order) for changes in ("hold", "correct") for order in itertools.permutations(range(4))]


@pytest.mark.parametrize(("changes", "order"), ORDERS, ids=lambda value: "".join(map(str, value)))
async def test_a_number_used_again_ends_in_the_same_books_whatever_comes_first(tmp_path, changes, order):
    seeded = random.Random(repr(order))
    async with database_for("sqlite", tmp_path, "mapper") as database:
        stage = Stage(database, configured(changes=changes))
        await stage.hear(customer())
        happened = two_lives()
        for place in [*order, *order[:2]]:
            await stage.hear(happened[place])
            if seeded.random() < 0.5:
                await stage.post_all()
        await stage.post_all()
        assert books(await stage.entries()) == {
            ("acme-test/CUST1", "8000", "1"): 5_000,
            ("acme-test/CUST1", "VAT 1", ""): 450,
        }


def one_life() -> list[facts.Observed]:
    """INV-1 is made, corrected and voided; a credit note is made and deleted under a longer id."""
    credit: dict[str, Any] = {
        "id": "CN-1",
        "customer_id": "CUST1",
        "type": "adjustment",
        "status": "adjusted",
        "date": OCTOBER_5 + DAY,
        "currency_code": "EUR",
        "base_currency_code": "EUR",
        "reference_invoice_id": "INV-1",
        "total": 1_210,
        "tax": 210,
        "line_items": [line(1_000, 210)],
    }
    void: dict[str, Any] = {"status": "voided", "voided_at": OCTOBER_5 + 3 * DAY}
    return [
        invoice(version=1, lines=FIRST),
        invoice(version=2, lines=CHANGED),
        invoice(version=3, lines=CHANGED, **void),
        observed(facts.CreditNoteObserved, credit, 4),
        observed(facts.CreditNoteObserved, {**credit, "id": "CN-1_171000000014", "deleted": True}, 6),
        customer(),
    ]


@pytest.mark.parametrize("seed", range(12))
async def test_changes_voids_and_deletions_end_in_the_same_books_whatever_comes_first(database, seed):
    seeded = random.Random(seed)
    happened = one_life()
    happened += seeded.sample(happened, 2)
    seeded.shuffle(happened)
    stage = Stage(database, configured(changes="correct"))
    for fact in happened:
        await stage.hear(fact)
        if seeded.random() < 0.5:
            await stage.post_all()
    await stage.post_all()
    assert books(await stage.entries()) == {}
    assert {entry.your_ref for entry in await stage.entries()} >= {"INV-1", "CN-1", "CN-1/R"}


async def test_a_direct_debit_waits_until_it_succeeded_and_is_taken_back_when_it_fails_late_or_is_reversed(database):
    stage = Stage(database)
    await stage.hear(customer(), invoice(), payment(status="in_progress"))
    await stage.post_all()
    assert [each.document.kind for each in await stage.entries()] == ["invoice"]
    assert await stage.reasons() == ["payment_in_progress"]
    await stage.hear(payment(status="success", version=2))
    await stage.post_all()
    assert books(await stage.entries())["acme-test/CUST1", "1290", ""] == -12_100
    await stage.hear(payment(status="late_failure", version=3, updated_at=OCTOBER_5 + 3 * 86_400))
    await stage.hear(payment(id="txn_2"))
    await stage.post_all()
    reversal = {"id": "txn_3", "type": "payment_reversal", "reference_transaction_id": "txn_2", "linked_invoices": []}
    await stage.hear(payment(**reversal))
    await stage.post_all()
    on_accounts = books(await stage.entries())
    assert (on_accounts["acme-test/CUST1", "1290", ""], on_accounts["acme-test/CUST1", "1300", ""]) == (0, 0)
    money = [(each.your_ref, each.entry_date.day) for each in await stage.entries() if each.kind == "general"]
    assert money == [("txn_1", 5), ("txn_1/R", 8), ("txn_2", 5), ("txn_3", 5)]


@pytest.mark.parametrize("kind", ["refundable", "store"])
async def test_a_credit_that_is_applied_to_other_invoices_is_matched_and_not_booked_again(database, kind: str):
    """Store and refundable credits alike: the note was booked when it was made, and Exact's matching is all that follows."""
    stage = Stage(database)
    await stage.hear(customer(), invoice("INV-1", lines=FIRST))
    await stage.post_all()
    made = {"id": "CN-1", "type": kind, "status": "refund_due", "date": OCTOBER_5 + DAY, "total": 12_100, "tax": 2_100}
    note = {**IN_EURO, **made, "reference_invoice_id": "INV-1", "line_items": FIRST}
    await stage.hear(observed(facts.CreditNoteObserved, note))
    await stage.post_all()
    applied = [{"cn_id": "CN-1", "applied_amount": 6_050, "tax_application": "post_tax"}]
    allocated = [{"invoice_id": "INV-2", "allocated_amount": 6_050}]
    later = invoice("INV-2", lines=[line(5_000, 1_050)], applied_credits=applied, amount_due=0, credits_applied=6_050)
    await stage.hear(later, observed(facts.CreditNoteObserved, {**note, "allocations": allocated}, 2))
    await stage.post_all()
    assert journal(await stage.entries()) == [
        ("CN-1", date(2026, 10, 6), -12_100),
        ("INV-1", date(2026, 10, 5), 12_100),
        ("INV-2", date(2026, 10, 5), 6_050),
    ]
    assert await stage.reasons() == []
