"""How messages make up the state of a document that people see."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.facts import OCTOBER_5, SITE, invoice, observed

from bookkeeping.hold_reasons import REASONS
from console.folding import (
    CHANGED_AFTER_BOOKING,
    DocumentRow,
    customer_of,
    document_of,
    fold,
    microseconds,
    moment_of,
)
from contracts import bank_lines, commands, facts
from contracts.envelope import Message, seal

START = datetime(2026, 10, 5, 10, tzinfo=UTC)
ZONES = {SITE: ZoneInfo("Europe/Amsterdam")}
DIVISION = 100001
DOCUMENT = facts.DocumentRef(
    site=SITE,
    kind="invoice",
    number="INV-1",
    customer_id="CUST1",
    currency="EUR",
    total_minor=12_100,
    document_date=date(2026, 10, 5),
)
PLANNED = facts.DocumentPlanned(document=DOCUMENT, division=DIVISION, command_id="c", mapping_version="m")
HELD = facts.DocumentHeld(document=DOCUMENT, code="no_revenue_account", sentence="No rule.", action="Add one.")
WAITING = facts.DocumentHeld(document=DOCUMENT, code="waiting_for_customer", sentence="Later.", action="Nothing.", waiting=True)
CHANGED = facts.DocumentHeld(document=DOCUMENT, code=CHANGED_AFTER_BOOKING, sentence="It changed.", action="Compare.")
SET_ASIDE = facts.DocumentSetAside(document=DOCUMENT, code="pending", sentence="Not final.")
REFUSED = facts.EntryRefused(division=DIVISION, command_id="c", document=DOCUMENT, code="duplicate", message="Bestaat reeds")
POSTED = facts.EntryPosted(
    division=DIVISION, command_id="c", document=DOCUMENT, entry_id="e", entry_number=26700001, journal="70", your_ref="INV-1"
)
Told = tuple[int, Message]


def told(*messages: Told) -> DocumentRow:
    """Fold messages, each with the minute it was made in, in the order they arrive."""
    document = document_of(messages[0][1], ZONES)
    assert document is not None
    row = DocumentRow(document.site, document.kind, document.number, document.suffix)
    for minute, message in messages:
        time = START + timedelta(minutes=minute)
        sealed = seal(message, source="test", subject="s", key="k", time=time, distinguisher=str(minute))
        about = document_of(message, ZONES)
        assert about is not None
        row = fold(row, sealed, message, about)
    return row


def in_turn(*messages: Message) -> DocumentRow:
    return told(*enumerate(messages, 1))


@pytest.mark.parametrize(
    ("message", "state", "code", "sentence", "action"),
    [
        (invoice(), "received", "", "", ""),
        (PLANNED, "planned", "", "", ""),
        (HELD, "held", "no_revenue_account", "No rule.", "Add one."),
        (WAITING, "waiting", "waiting_for_customer", "Later.", "Nothing."),
        (SET_ASIDE, "set_aside", "pending", "Not final.", ""),
        (REFUSED, "waiting", "duplicate", "Bestaat reeds", ""),
        (POSTED, "booked", "", "", ""),
    ],
)
def test_each_message_has_its_state_and_leaves_nothing_of_the_one_before(message, state, code, sentence, action):
    row = in_turn(HELD, message) if not isinstance(message, facts.Observed) else in_turn(message)
    assert (row.state, row.code, row.sentence, row.action) == (state, code, sentence, action)
    assert (row.total_minor, row.customer_id, row.document_date) == (12_100, "CUST1", date(2026, 10, 5))


def test_an_older_statement_that_comes_late_changes_nothing():
    assert told((5, PLANNED), (2, HELD)).state == "planned"
    assert told((5, HELD), (2, PLANNED)).code == "no_revenue_account"


def test_an_entry_in_exact_outranks_what_was_said_while_it_was_under_way():
    # A mapper that was away tells of a refusal only after the writer has mended it and booked.
    for late in (PLANNED, HELD, WAITING, SET_ASIDE, REFUSED):
        for row in (told((3, POSTED), (7, late)), told((7, late), (3, POSTED))):
            assert (row.state, row.code, row.entry_number, row.journal) == ("booked", "", 26700001, "70")


def test_a_change_in_chargebee_stays_visible_whether_seen_before_or_after_the_entry():
    # The mapper may see it while the entry with the old amounts is still under way; it says so once.
    for minute in (2, 9):
        for order in permutations([(1, PLANNED), (minute, CHANGED), (5, POSTED)]):
            row = told(*order)
            assert (row.state, row.code, row.action, row.entry_number) == ("held", CHANGED_AFTER_BOOKING, "Compare.", 26700001)


def test_a_new_plan_has_the_change_in_it():
    for order in permutations([(1, PLANNED), (2, CHANGED), (3, REFUSED), (4, PLANNED), (5, POSTED)]):
        assert told(*order).state == "booked"


def test_the_mapper_knows_the_one_hold_that_an_entry_does_not_end():
    assert CHANGED_AFTER_BOOKING in REASONS


def test_amount_and_customer_are_the_newest_that_was_seen():
    seen = observed(facts.InvoiceObserved, {"id": "INV-1", "customer_id": "CUST2", "currency_code": "EUR", "total": 9_900})
    for order in permutations([(1, invoice()), (2, HELD), (3, seen)]):
        row = told(*order)
        # The mapper tells a reason once, so a held document that changes shows its new amount by what Chargebee showed.
        assert (row.state, row.total_minor, row.customer_id) == ("held", 9_900, "CUST2")
        assert row.document_date == date(2026, 10, 5)


def test_a_reversal_is_a_booking_of_its_own():
    reversal = msgspec.structs.replace(DOCUMENT, suffix="R")
    row = in_turn(facts.DocumentHeld(document=reversal, code="period_closed", sentence="Closed.", action="Open it."))
    assert (row.number, row.suffix, row.state) == ("INV-1", "R", "held")
    assert row.subject == f"{SITE}/invoice/INV-1/R"
    assert in_turn(POSTED).subject == f"{SITE}/invoice/INV-1"


def test_a_receipt_once_recorded_stays_recorded():
    recorded = facts.PaymentRecorded(
        document=DOCUMENT, transaction_id="txn", amount_minor=12_100, payment_date=date(2026, 10, 9), reference="KP-1"
    )
    refused = facts.PaymentNotRecorded(document=DOCUMENT, code="voided", sentence="Voided there.", sentence_nl="Vervallen.")
    assert (in_turn(POSTED, refused).receipt, in_turn(POSTED, refused).receipt_sentence) == ("voided", "Voided there.")
    assert in_turn(POSTED, refused).receipt_sentence_nl == "Vervallen."
    for order in permutations([(1, POSTED), (2, refused), (3, recorded)]):
        row = told(*order)
        assert (row.state, row.receipt, row.receipt_sentence) == ("booked", "recorded", "")


def test_what_a_person_has_to_know_after_a_recorded_receipt_replaces_it():
    recorded = facts.PaymentRecorded(
        document=DOCUMENT, transaction_id="txn", amount_minor=12_099, payment_date=date(2026, 10, 9), reference="KP-1"
    )
    written_off = bank_lines.ShortageWrittenOff(document=DOCUMENT, division=1, line_id="l", amount_minor=1)
    assert in_turn(POSTED, recorded, written_off).receipt == "recorded"
    more = msgspec.structs.replace(written_off, code="write_off_differs", sentence="More.", sentence_nl="Meer.")
    row = in_turn(POSTED, recorded, more)
    assert (row.receipt, row.receipt_sentence, row.receipt_sentence_nl) == ("write_off_differs", "More.", "Meer.")
    told = ("shortage_changed", "taken_back", "money_without_debt")
    for code, shown in (*((each, each) for each in told), ("already_paid", "recorded")):
        refused = facts.PaymentNotRecorded(document=DOCUMENT, code=code, sentence="No.")
        assert in_turn(POSTED, recorded, refused).receipt == shown


def test_what_lowers_a_debt_is_negative_and_dates_are_cut_where_the_site_is():
    just_past_midnight = OCTOBER_5 + 12 * 3600 + 5 * 60  # 2026-10-05 22:05 in UTC
    money = {"customer_id": "CUST1", "currency_code": "JPY", "amount": 500, "date": just_past_midnight}
    for kind, fact, resource, total in (
        ("payment", facts.TransactionObserved, {"id": "t", "type": "payment", **money}, -500),
        ("refund", facts.TransactionObserved, {"id": "t", "type": "refund", **money}, 500),
        ("credit_note", facts.CreditNoteObserved, {"id": "t", **money, "total": 500}, -500),
        ("invoice", facts.InvoiceObserved, {"id": "t", **money, "total": 500}, 500),
    ):
        seen = observed(fact, resource)
        document = document_of(seen, ZONES)
        assert document is not None
        assert (document.kind, document.total_minor, document.decimals) == (kind, total, 0)
        assert document.document_date == date(2026, 10, 6)
        elsewhere = document_of(seen, {})
        assert elsewhere is not None
        assert elsewhere.document_date == date(2026, 10, 5)


def test_an_authorisation_is_no_document_and_an_account_belongs_to_its_customer():
    hold = observed(facts.TransactionObserved, {"id": "t", "type": "authorization", "amount": 1, "currency_code": "EUR"})
    saved = facts.AccountSaved(division=DIVISION, customer_ref=f"{SITE}/CUST1", account_id="a", created=True)
    save = commands.SaveAccount(division=DIVISION, customer_ref=f"{SITE}/CUST1", fingerprint="f", name="Voorbeeld B.V.")
    assert document_of(hold, ZONES) is None
    assert document_of(saved, ZONES) is None
    assert customer_of(saved) == customer_of(save) == f"{SITE}/CUST1"
    assert customer_of(POSTED) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_survives_as_microseconds(moment):
    assert moment_of(microseconds(moment)) == moment


STATEMENTS: tuple[Message, ...] = (PLANNED, HELD, WAITING, SET_ASIDE, REFUSED)


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Told], list[Told]]:
    """Give messages in the order they were made and the same in another; nothing but a plan follows a change after booking."""
    statements = draw(st.lists(st.sampled_from(STATEMENTS), max_size=4))
    if draw(st.booleans()):
        statements += [CHANGED, *draw(st.lists(st.just(PLANNED), max_size=1))]
    others: list[Message] = [invoice(), *draw(st.lists(st.just(POSTED), max_size=1))]
    for other in others:
        statements.insert(draw(st.integers(0, len(statements))), other)
    made = list(enumerate(statements, 1))
    return made, draw(st.permutations(made))


@given(stories())
def test_any_order_of_arrival_gives_the_same_state(story):
    made, arrived = story
    # When the last statement was made tells nothing any more once there is an entry.
    expected, row = (replace(told(*messages), stated_at_us=0) for messages in (made, arrived))
    assert row == expected


@given(stories())
def test_a_document_with_an_entry_is_booked_or_held_for_its_change(story):
    _, arrived = story
    row = told(*arrived)
    if POSTED in [message for _, message in arrived]:
        assert (row.state, row.code) in {("booked", ""), ("held", CHANGED_AFTER_BOOKING)}
        assert row.entry_number == 26700001


def test_a_deleted_credit_note_is_the_one_that_was_made():
    note = {"id": "CN-4", "customer_id": "CUST1", "total": 100, "currency_code": "EUR"}
    made = document_of(observed(facts.CreditNoteObserved, note), ZONES)
    gone = document_of(observed(facts.CreditNoteObserved, {**note, "id": "CN-4_171000000014"}, deleted=True), ZONES)
    assert made == gone
