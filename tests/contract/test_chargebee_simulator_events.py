"""The event sequences of the Chargebee stand-in, as they were recorded on real sites."""

from collections.abc import Callable

import pytest
from support.chargebee_shop import STARTED_AT, bill, event_types, shop

from simulators.chargebee import catalogue, credit_notes, invoices, payments
from simulators.chargebee.app import ChargebeeSimulator
from simulators.chargebee.site import Resource

CARD = payments.Money("card", gateway="stripe", gateway_account_id="gw_1")


def _after(app: ChargebeeSimulator, action: Callable[[], object]) -> tuple[list[str], list[Resource]]:
    before = len(app.site.events)
    action()
    return event_types(app, before), app.site.events[before:]


def test_a_payment_sends_the_payment_and_then_the_invoice():
    app = shop()
    number = bill(app)["id"]
    types, events = _after(app, lambda: payments.pay_invoice(app.site, number, payments.Money("cash", 500)))
    assert types == ["payment_succeeded", "invoice_updated"]
    assert set(events[0]["content"]) == {"transaction", "invoice", "customer"}
    assert set(events[1]["content"]) == {"invoice"}


def test_a_declined_card_leaves_a_failed_link_and_no_payment():
    app = shop()
    number = bill(app)["id"]
    declined = payments.Money("card", gateway="stripe", status="failure", error_code="card_declined")
    types, events = _after(app, lambda: payments.pay_invoice(app.site, number, declined))
    assert types == ["payment_failed", "invoice_updated"]
    invoice = events[1]["content"]["invoice"]
    assert invoice["linked_payments"][0]["txn_status"] == "failure"
    assert (invoice["amount_paid"], invoice["amount_due"]) == (0, 12_100)


def test_a_refundable_credit_note_changes_customer_and_invoice_first():
    app = shop()
    number = bill(app)["id"]
    payments.pay_invoice(app.site, number, CARD)
    types, events = _after(app, lambda: credit_notes.create_credit_note(app.site, number, kind="refundable"))
    assert types == ["customer_changed", "invoice_updated", "credit_note_created"]
    note = events[2]["content"]["credit_note"]
    assert (note["status"], note["total"], note["tax"]) == ("refund_due", 12_100, 2_100)
    assert note["line_items"][0]["reference_line_item_id"] == events[1]["content"]["invoice"]["line_items"][0]["id"]


def test_voiding_a_credit_note_keeps_what_was_available():
    app = shop()
    number = bill(app)["id"]
    payments.pay_invoice(app.site, number, CARD)
    note = credit_notes.create_credit_note(app.site, number, kind="refundable")
    types, events = _after(app, lambda: credit_notes.void_credit_note(app.site, note["id"]))
    assert types == ["invoice_updated", "customer_changed", "credit_note_updated"]
    assert events[2]["content"]["credit_note"]["amount_available"] == 12_100
    assert "balances" not in events[1]["content"]["customer"]


def test_an_adjustment_credit_note_is_used_up_at_once():
    app = shop()
    number = bill(app)["id"]
    types, events = _after(app, lambda: credit_notes.create_credit_note(app.site, number, kind="adjustment"))
    assert types == ["invoice_updated", "credit_note_created"]
    invoice, note = events[0]["content"]["invoice"], events[1]["content"]["credit_note"]
    assert (invoice["status"], invoice["amount_paid"], invoice["amount_due"]) == ("paid", 0, 0)
    assert (note["status"], note["amount_available"]) == ("adjusted", 0)


def test_a_refund_returns_money_and_a_used_credit_does_not():
    app = shop()
    first, second = bill(app)["id"], bill(app)["id"]
    payments.pay_invoice(app.site, first, CARD)
    half = credit_notes.lines_of_invoice(app.site.get("invoice", first), 500)
    refunded = credit_notes.create_credit_note(app.site, first, kind="refundable", lines=half)
    used = credit_notes.create_credit_note(app.site, first, kind="refundable", lines=half)
    types, events = _after(app, lambda: credit_notes.refund_credit_note(app.site, refunded["id"], CARD))
    assert types == ["payment_refunded", "customer_changed", "credit_note_updated", "invoice_updated"]
    assert set(events[0]["content"]) == {"transaction", "invoice", "credit_note", "customer"}
    credit_notes.apply_credit(app.site, second, used["id"])
    assert (refunded["status"], refunded["amount_refunded"]) == ("refunded", 6_050)
    assert (used["status"], used["amount_refunded"], used["amount_allocated"]) == ("refunded", 0, 6_050)
    assert app.site.get("invoice", second)["amount_due"] == 6_050


def test_a_backdated_invoice_has_an_event_type_of_its_own():
    app = shop()
    types, _ = _after(app, lambda: bill(app, date=STARTED_AT - 86_400))
    assert types == ["invoice_generated_with_backdating"]


def test_a_pending_invoice_is_generated_when_it_is_closed_and_gets_the_date_of_that_day():
    app = shop()
    number = bill(app, pending=True)["id"]
    app.site.clock.skip(3 * 86_400)
    types, events = _after(app, lambda: invoices.close_pending(app.site, number))
    assert types == ["invoice_generated"]
    invoice = events[0]["content"]["invoice"]
    assert (invoice["status"], invoice["date"]) == ("posted", STARTED_AT + 3 * 86_400)


def test_pending_invoices_are_announced_only_when_the_site_asks_for_it():
    quiet = shop(notify_pending_invoices=False)
    types, _ = _after(quiet, lambda: bill(quiet, pending=True))
    assert types == []


def test_a_due_date_that_passes_is_told_by_the_scheduler():
    app = shop()
    bill(app)
    app.site.clock.skip(14 * 86_400)
    types, events = _after(app, lambda: invoices.run_scheduled_jobs(app.site))
    assert (types, events[0]["source"]) == (["invoice_updated"], "scheduled_job")
    assert events[0]["content"]["invoice"]["status"] == "payment_due"


def test_voiding_is_an_update_with_another_status_and_all_amounts_left():
    app = shop()
    number = bill(app)["id"]
    types, events = _after(app, lambda: invoices.void_invoice(app.site, number))
    assert types == ["invoice_updated"]
    invoice = events[0]["content"]["invoice"]
    assert (invoice["status"], invoice["total"], invoice["amount_due"]) == ("voided", 12_100, 12_100)


def test_deleting_shows_the_flag_and_another_credit_note_id_in_the_event():
    app = shop()
    number = bill(app)["id"]
    payments.pay_invoice(app.site, number, CARD)
    note = credit_notes.create_credit_note(app.site, number, kind="refundable")
    credit_notes.void_credit_note(app.site, note["id"])
    _, events = _after(app, lambda: credit_notes.delete_credit_note(app.site, note["id"]))
    shown = events[0]["content"]["credit_note"]
    assert shown["deleted"] is True
    assert shown["id"].startswith(f"{note['id']}_")
    _, events = _after(app, lambda: catalogue.delete_customer(app.site, "cust-1"))
    assert events[0]["content"]["customer"]["deleted"] is True


def test_versions_grow_and_snapshots_do_not_change_afterwards():
    app = shop()
    number = bill(app)["id"]
    payments.pay_invoice(app.site, number, CARD)
    shown = [event["content"]["invoice"] for event in app.site.events if "invoice" in event["content"]]
    versions = [invoice["resource_version"] for invoice in shown]
    assert versions == sorted(versions)
    assert versions[0] < versions[-1]
    assert [invoice["status"] for invoice in shown] == ["posted", "paid", "paid"]
    assert all(invoice["updated_at"] == invoice["resource_version"] // 1_000 for invoice in shown)


def test_a_removed_payment_becomes_excess_and_the_invoice_is_due_again():
    app = shop()
    number = bill(app)["id"]
    _, transaction = payments.pay_invoice(app.site, number, CARD)
    payments.remove_payment(app.site, number, transaction["id"])
    invoice = app.site.get("invoice", number)
    assert (invoice["status"], invoice["amount_due"], transaction["amount_unused"]) == ("posted", 12_100, 12_100)
    payments.apply_payment(app.site, number, transaction["id"])
    assert (invoice["status"], transaction["amount_unused"]) == ("paid", 0)


@pytest.mark.parametrize("kind", ["plan", "addon"])
def test_product_catalog_1_has_plans_and_addons(kind):
    app = shop(product_catalog="1.0")
    types, events = _after(app, lambda: catalogue.create_plan_or_addon(app.site, kind, "basic", {"price": 900}))
    assert types == [f"{kind}_created"]
    assert events[0]["content"][kind]["price"] == 900
