"""The pure parts of the writer: what it does next, what it sends, what it reads in Exact's words."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.writer_stage import payment, sale, save_account

import exact_writer
from contracts.commands import EntryLine
from exact_writer import client_keys, error_limit, lookup, odata, payloads, polling, refusals, schedule
from exact_writer.client import Answer, ForbiddenError, RateLimitedError, RefusedError, UnknownError, interpret
from exact_writer.polling import Polling
from exact_writer.schedule import Candidate, Kind, State
from exact_writer.work_classes import HISTORY, ORDER, RESERVES, Turns, WorkClass, class_of


def candidate(
    sequence: int,
    kind: Kind = "sales",
    customer: str = "C1",
    state: State = "planned",
    not_before: float = 0.0,
    *,
    known: bool = True,
    work_class: WorkClass = "today",
    site: str = "acme",
) -> Candidate:
    return Candidate(
        sequence=sequence,
        command_id=str(sequence),
        kind=kind,
        customer_ref=customer,
        state=state,
        not_before=not_before,
        has_account=known,
        work_class=work_class,
        site=site,
    )


def chosen_of(waiting: list[Candidate], turns: Turns | None = None, **more: Any) -> Candidate | None:
    choice = schedule.choose(waiting, 10.0, turns or Turns(), **more)
    return choice.candidate if choice else None


class TestWhatComesNext:
    def test_history_of_a_paused_site_waits_but_for_what_is_already_under_way(self) -> None:
        old, other, new = (
            candidate(1, work_class="backfill"),
            candidate(2, customer="C2", work_class="backfill", site="other"),
            candidate(3, customer="C3"),
        )
        paused = frozenset(("acme",))
        assert [chosen_of([each], paused=paused) for each in (old, other, new)] == [None, other, new]
        sent = candidate(1, state="unknown", work_class="backfill")
        assert chosen_of([sent], paused=paused) == sent

    def test_what_a_person_tried_again_goes_before_history_and_today(self) -> None:
        day = date(2026, 3, 10)
        long_ago = sale("INV-1", entry_date=date(2025, 3, 10))
        assert class_of(long_ago, day) == "backfill"
        assert class_of(msgspec.structs.replace(long_ago, is_asked=True), day) == "person"

    def test_an_account_comes_before_the_entries_that_wait_for_it(self) -> None:
        waiting = [candidate(1, known=False), candidate(2, "account")]
        chosen = chosen_of(waiting)
        assert chosen is not None
        assert chosen.sequence == 2

    def test_the_commands_of_one_customer_keep_their_order_and_others_go_on(self) -> None:
        waiting = [candidate(1, state="unknown", not_before=99.0), candidate(2), candidate(3, customer="C2")]
        chosen = chosen_of(waiting)
        assert chosen is not None
        assert chosen.sequence == 3

    def test_an_unknown_outcome_is_resolved_before_anything_new(self) -> None:
        waiting = [candidate(1, customer="C2"), candidate(2, state="unknown")]
        chosen = chosen_of(waiting)
        assert chosen is not None
        assert chosen.sequence == 2

    def test_a_closed_endpoint_stops_only_its_own_kind(self) -> None:
        waiting = [candidate(1), candidate(2, "general", "C2")]
        chosen = chosen_of(waiting, blocked=schedule.kinds_of(["salesentry/SalesEntries"]))
        assert chosen is not None
        assert chosen.kind == "general"

    def test_todays_invoice_does_not_wait_for_the_history_of_its_customer(self) -> None:
        chosen = chosen_of([candidate(1, work_class="backfill"), candidate(2, work_class="today")])
        assert chosen is not None
        assert chosen.sequence == 2

    def test_history_waits_for_what_its_customer_had_before(self) -> None:
        held_up = [candidate(1, state="sent", work_class="money"), candidate(2, work_class="backfill")]
        assert chosen_of(held_up) is None

    def test_sites_of_one_division_take_turns(self) -> None:
        waiting = [candidate(number, customer=f"C{number}", site="big") for number in range(1, 9)]
        waiting += [candidate(number, customer=f"C{number}", site="small") for number in range(9, 11)]
        turns, served = Turns(), []
        for _ in range(4):
            choice = schedule.choose(waiting, 10.0, turns)
            assert choice is not None
            served.append(choice.candidate.site)
            turns = turns.taken("today", choice.candidate.site, choice.waiting)
            waiting.remove(choice.candidate)
        assert sorted(served) == ["big", "big", "small", "small"]

    def test_resting_classes_get_no_calls_but_to_resolve_an_outcome(self) -> None:
        waiting = [candidate(1, work_class="backfill"), candidate(2, customer="C2", work_class="credit")]
        chosen = chosen_of(waiting, resting=HISTORY)
        assert chosen is not None
        assert chosen.work_class == "credit"
        lost = candidate(3, customer="C3", state="unknown", work_class="backfill")
        assert chosen_of([*waiting, lost], resting=HISTORY) == lost

    @given(st.sets(st.sampled_from(ORDER), min_size=1))
    def test_whoever_waits_gets_its_reserve_and_nobody_starves(self, waiting: set[WorkClass]) -> None:
        turns, got = Turns(), dict.fromkeys(ORDER, 0)
        for _ in range(400):
            chosen = turns.next_class(waiting)
            assert chosen is not None
            got[chosen] += 1
            turns = turns.taken(chosen, "acme", waiting)
        assert all(got[each] >= int(400 * RESERVES[each]) - 1 for each in waiting)
        first = next(each for each in ORDER if each in waiting)
        others = sum(RESERVES[each] for each in waiting if each != first)
        assert got[first] >= int(400 * (1 - others)) - 1, "what nobody is owed goes in the order"

    def test_a_backlog_is_interrupted_once_in_two_hundred_writes(self) -> None:
        before = Polling(last_at=100.0, polled_at=100.0, writes_since=199)
        assert polling.poll_due_at(before, 1.0, 5_000, backlog=True) is None
        assert polling.poll_due_at(polling.wrote(before), 1.0, 5_000, backlog=True) == 101.0

    def test_asking_for_changes_uses_at_most_a_tenth_of_a_day(self) -> None:
        state, now, polls = polling.polled(Polling(), 1.0, 5_000, 0.001, backlog=False), 0.0, 0
        while now < 10 * 86_400:
            now = polling.poll_due_at(state, 1.0, 5_000, backlog=False) or now
            state = polling.polled(state, 1.0, 5_000, now, backlog=False)
            polls += 1
        assert polls <= 10 * 500 + polling.POLLS_SAVED_UP + 1


class TestWhatIsSent:
    def test_amounts_are_exact_decimal_numbers(self) -> None:
        command = sale(
            "INV-1", lines=(EntryLine(gl_account="8000", amount_minor=1_999_999_999_910, vat_code="2", vat_amount_minor=1),)
        )
        body = payloads.encode(payloads.sales_entry(command, "customer-guid", {"8000": "ledger-guid"}, "EUR"))
        assert b'"AmountFC":19999999999.10' in body
        assert b'"VATAmountFC":0.01' in body

    @given(st.integers(-(10**15), 10**15), st.sampled_from([0, 2, 3]))
    def test_no_cent_is_lost_on_the_way(self, minor: int, decimals: int) -> None:
        sent = json.loads(payloads.encode({"AmountFC": payloads.amount(minor, decimals)}), parse_float=Decimal, parse_int=Decimal)
        assert sent["AmountFC"].scaleb(decimals) == minor

    def test_a_sales_entry_has_what_exact_needs_and_nothing_empty(self) -> None:
        line = EntryLine(
            gl_account="8000",
            amount_minor=12_000,
            description="x" * 80,
            vat_code="2",
            vat_amount_minor=2_520,
            cost_center="NL",
            from_date=date(2026, 3, 1),
            to_date=date(2027, 2, 28),
        )
        command = sale("INV-1", lines=(line,), due_date=date(2026, 4, 1), reporting_year=2026, reporting_period=4)
        assert payloads.sales_entry(command, "customer-guid", {"8000": "ledger-guid"}, "EUR") == {
            "Customer": "customer-guid",
            "Journal": "70",
            "YourRef": "INV-1",
            "EntryDate": "2026-03-02T00:00:00",
            "DueDate": "2026-04-01T00:00:00",
            "Currency": "EUR",
            "ReportingYear": 2026,
            "ReportingPeriod": 4,
            "SalesEntryLines": [
                {
                    "GLAccount": "ledger-guid",
                    "AmountFC": Decimal("120.00"),
                    "Description": "x" * 60,
                    "VATCode": "2",
                    "VATAmountFC": Decimal("25.20"),
                    "CostCenter": "NL",
                    "From": "2026-03-01T00:00:00",
                    "To": "2027-02-28T00:00:00",
                }
            ],
        }

    def test_vat_of_zero_is_sent_so_that_exact_does_not_compute_it(self) -> None:
        command = sale("INV-1", lines=(EntryLine(gl_account="8000", amount_minor=100, vat_code="2", vat_amount_minor=0),))
        (line,) = payloads.sales_entry(command, "c", {"8000": "g"}, "EUR")["SalesEntryLines"]
        assert line["VATAmountFC"] == 0

    def test_every_line_of_a_payment_names_the_reference_and_only_the_debtors_line_the_customer(self) -> None:
        body = payloads.general_entry(payment("TX-1"), "customer-guid", {"1290": "a", "1300": "b"}, "EUR")
        lines = body["GeneralJournalEntryLines"]
        assert [line["Description"] for line in lines] == ["TX-1 Betaling"] * 2
        assert [line.get("Account") for line in lines] == [None, "customer-guid"]
        assert sum(line["AmountFC"] for line in lines) == 0

    def test_customers_whose_names_differ_have_other_search_codes(self) -> None:
        codes = {payloads.search_code(f"acme/{number}") for number in range(1_000)}
        assert len(codes) == 1_000
        assert all(len(code) == 18 for code in codes)


class TestWhatIsRead:
    @pytest.mark.parametrize(
        ("words", "code"),
        [
            ("Periode is afgesloten", "period_closed"),
            ("Period is closed", "period_closed"),
            ("Verplicht: Betalingsconditie\r\nPeriode is afgesloten: 2026 - 3", "period_closed"),
            ("Verplicht: Boekjaar", "no_financial_year"),
            ("Unknown: Financial year (Period-date table)", "no_financial_year"),
            ("Ongeldige referentie: Btw-code", "invalid_reference"),
            ("Invalid reference: Cost unit", "invalid_reference"),
            ("Verplicht: Naam", "mandatory_field"),
            ("Mandatory: Account", "mandatory_field"),
            ("Ongeldig: Klant (Type)", "not_a_customer"),
            ("Niet toegestaan: Btw-code", "vat_not_allowed"),
            ("Gegeven bestaat reeds.", "duplicate"),
            ("Data already exists", "duplicate"),
            ("In gebruik: Boekstuknummer", "duplicate"),
            ("De boeking is niet in evenwicht op: 2022 / 4 - Verschil: EUR -0,01", "unbalanced"),
            ("Ongeldig: Dagboek (type)", "wrong_journal_type"),
            ("Ongeldig: Btw-percentage []", "invalid_value"),
            ("Iets heel anders", "other"),
        ],
    )
    def test_exacts_words_have_stable_codes(self, words: str, code: str) -> None:
        assert refusals.classify(words) == code
        assert code in refusals.ACTIONS

    def test_a_business_refusal_is_final_and_a_gateways_page_is_not(self) -> None:
        said = {"error": {"code": "", "message": {"lang": "nl-NL", "value": "Periode is afgesloten"}}}
        with pytest.raises(RefusedError) as refused:
            interpret(httpx.Response(500, json=said))
        assert refused.value.code == "period_closed"
        for answer in (httpx.Response(500), httpx.Response(502, html="<html>"), httpx.Response(503), httpx.Response(504)):
            with pytest.raises(UnknownError):
                interpret(answer)

    @pytest.mark.parametrize(
        "words", ["A problem has occurred. The cause of this issue will be investigated", "", "Server Unavailable"]
    )
    def test_a_failure_in_an_error_body_leaves_the_outcome_open(self, words: str) -> None:
        with pytest.raises(UnknownError):
            interpret(httpx.Response(500, json={"error": {"message": {"value": words}}}))

    def test_statuses_have_their_meaning(self) -> None:
        with pytest.raises(RateLimitedError):
            interpret(httpx.Response(429))
        with pytest.raises(ForbiddenError) as forbidden:
            interpret(httpx.Response(403, headers={"Reason": "NoDivisionAccess"}, text="Forbidden"))
        assert forbidden.value.message == "NoDivisionAccess"
        with pytest.raises(UnknownError):
            interpret(httpx.Response(201, text="{half"))

    def test_dates_are_read_as_the_wall_clock_they_were(self) -> None:
        assert odata.day_in("/Date(1455753600000)/") == date(2016, 2, 18)
        assert odata.day_in(None) is None

    def test_a_next_page_is_asked_of_the_host_that_is_configured(self) -> None:
        page = {"d": {"results": [], "__next": "https://start.exactonline.nl/api/v1/1/vat/VATCodes?$skiptoken=guid'x'"}}
        assert odata.next_page(page) == "/api/v1/1/vat/VATCodes?$skiptoken=guid'x'"
        assert odata.next_page({"d": []}) is None

    def test_quotes_in_a_reference_stay_in_the_literal(self) -> None:
        request = lookup.request_for(sale("O'Neil & Co"), None, None)
        assert "YourRef%20eq%20'O''Neil%20%26%20Co'" in request.path

    def test_a_reference_within_another_is_not_found(self) -> None:
        rows = [
            {"EntryID": "a", "EntryNumber": 1, "Description": "TX-10 Betaling", "AmountFC": Decimal("-121.00")},
            {"EntryID": "b", "EntryNumber": 2, "Description": "TX-1 Betaling", "AmountFC": Decimal("-121.00")},
            {"EntryID": "c", "EntryNumber": 3, "Description": "TX-1 Betaling", "AmountFC": Decimal("-12.00")},
            {"EntryID": "d", "EntryNumber": 4, "Description": "corrects TX-1", "AmountFC": Decimal("-121.00")},
        ]
        answer = Answer(status=200, body={"d": {"results": rows}}, headers={})
        assert [each.exact_id for each in lookup.found_in(payment("TX-1"), answer, None)] == ["b"]
        assert lookup.found_in(save_account(), Answer(status=200, body={"d": []}, headers={}), None) == []

    def test_what_bears_our_key_is_adopted_before_another_record_of_the_same_reference(self) -> None:
        rows = [{"EntryID": each, "EntryNumber": 1, "YourRef": "INV-1"} for each in ("typed", "ours")]
        answer = Answer(status=200, body={"d": {"results": rows}}, headers={})
        assert [each.exact_id for each in lookup.found_in(sale("INV-1"), answer, "ours")] == ["ours", "typed"]

    def test_the_key_of_a_batch_is_the_same_in_whatever_order_its_commands_are_read(self) -> None:
        # History goes last into a batch, and is read again by its place in the journal.
        assert client_keys.cause_of(["today", "old"]) == client_keys.cause_of(["old", "today"]) != client_keys.cause_of(["old"])

    def test_errors_are_counted_within_the_hour_and_stop_before_exact_blocks(self) -> None:
        seven = [float(second) for second in range(7)]
        assert error_limit.blocked_until(seven, 10.0) is None
        assert error_limit.blocked_until([*seven, 8.0], 10.0) == 3_600.0
        assert error_limit.blocked_until([*seven, 8.0], 3_600.5) is None
        assert not error_limit.counts(500)


def test_the_writer_makes_no_vat_code_ledger_or_journal_in_exact():
    """What reads a division's master data makes no writing call; a trial in a test division makes entries, and reads codes."""
    modules = {path.stem: path.read_text() for path in Path(exact_writer.__file__).parent.glob("*.py")}
    reads = {name for name, text in modules.items() if re.search(r'"(vat|financial|cashflow|hrm|general)/\w', text)}
    writes = {name for name, text in modules.items() if re.search(r'method="(POST|PUT|DELETE)"|\.post\(', text)}
    assert {"looking", "master_records"} <= reads
    assert {"post", "accounts", "items", "document_post"} <= writes
    assert reads & writes <= {"probe"}
    assert not {endpoint.partition("/")[0] for endpoint in client_keys.KEYS} & {"vat", "financial", "cashflow", "hrm", "general"}


def test_nothing_that_is_booked_is_ever_deleted_in_exact():
    """Only a draft that booked nothing, our own webhooks, and what a trial left in a test division."""
    modules = {path.stem: path.read_text() for path in Path(exact_writer.__file__).parent.glob("*.py")}
    assert {name for name, text in modules.items() if 'method="DELETE"' in text} == {"document_post", "subscriptions", "probe"}
