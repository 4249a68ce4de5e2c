"""Discounts by coupon set: what the code of a document belongs to is waited for, and what is not certain is not booked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.engines import DATABASES, database_for
from support.facts import customer, invoice, line, observed
from support.mapper_stage import CONFIGURATION, Stage

from backbone.configuration import Configuration
from contracts import facts
from contracts.coupon_codes import CouponCodeObserved
from contracts.messages import FACTS
from mapper.rebuild import HEARD

RULES = [
    {"when": {"coupon_set": "cs_fair"}, "account": "8091"},
    {"when": {"coupon_set": "cs_mail", "coupon": "TEN"}, "account": "8092"},
    {"account": "8090"},
]


@pytest.fixture(params=DATABASES)
async def stage(request, tmp_path: Path):
    dump = CONFIGURATION.model_dump(exclude_defaults=True)
    (division,) = dump["divisions"].values()
    division["discounts"] = {"posting": "gross", "rules": RULES}
    async with database_for(request.param, tmp_path, "mapper") as database:
        yield Stage(database, Configuration.model_validate(dump))


def code(name: str, coupon_set: str | None, version: int = 1) -> facts.Observed:
    return observed(CouponCodeObserved, {"id": name, "coupon_id": "TEN", "coupon_set_id": coupon_set}, version)


def given(*codes: str | None, coupon: str = "TEN") -> dict[str, Any]:
    """An invoice's members for 10.00 off its one line, by these codes of the coupon; None stands for the coupon itself."""
    discounted = line(10_000, 1_890, discount_amount=1_000)
    kind = "document_level_coupon"
    row = {"line_item_id": discounted["id"], "discount_type": kind, "entity_id": coupon, "discount_amount": 1_000}
    listed = [{"entity_type": kind, "entity_id": coupon, **({"coupon_set_code": each} if each else {})} for each in codes]
    return {"lines": [discounted], "line_item_discounts": [row], "discounts": listed}


async def accounts(stage: Stage) -> dict[str, str]:
    """By document, the account of its discount."""
    return {entry.your_ref: entry.lines[1].gl_account for entry in await stage.entries()}


async def test_a_document_waits_for_the_set_of_its_code_and_is_booked_when_it_comes(stage):
    await stage.hear(customer(), invoice(**given("FAIR-1")), invoice("INV-2", **given("MAIL-1")))
    assert await stage.reasons() == ["waiting_for_coupon_code"] * 2
    await stage.hear(code("MAIL-1", "cs_mail"))
    assert await accounts(stage) == {"INV-2": "8092"}
    await stage.hear(code("FAIR-1", "cs_fair"), code("ELSE-1", "cs_else"))
    await stage.hear(invoice("INV-3", **given("ELSE-1")))
    assert await accounts(stage) == {"INV-2": "8092", "INV-1": "8091", "INV-3": "8090"}


async def test_a_code_that_is_gone_is_held_until_a_rule_names_it_or_chargebee_has_it_again(stage):
    await stage.hear(customer(), invoice(**given("FAIR-1")), code("FAIR-1", None))
    assert await stage.reasons() == ["waiting_for_coupon_code", "coupon_code_gone"]
    [_, held] = await stage.said(facts.DocumentHeld)
    assert "{when: {coupon_code: FAIR-1}" in held.action
    assert not held.waiting


async def test_a_credit_note_that_names_no_code_takes_the_account_of_its_invoice(stage):
    await stage.hear(customer(), code("FAIR-1", "cs_fair"), invoice(**given("FAIR-1")))
    note = {**msgspec.to_builtins(invoice(**given(None)))["resource"], "id": "CN-1", "status": "adjusted", "type": "adjustment"}
    await stage.hear(observed(facts.CreditNoteObserved, {**note, "reference_invoice_id": "INV-1"}))
    assert set((await accounts(stage)).values()) == {"8091"}
    assert len(await stage.entries()) == 2


async def test_two_codes_of_one_coupon_on_a_document_must_lead_to_one_account(stage):
    await stage.hear(customer(), code("FAIR-1", "cs_fair"), code("FAIR-2", "cs_fair"), code("MAIL-1", "cs_mail"))
    await stage.hear(invoice("INV-1", **given("FAIR-1", "FAIR-2")), invoice("INV-2", **given("FAIR-1", "MAIL-1")))
    await stage.hear(invoice("INV-3", **given("FAIR-1", None)))
    assert await accounts(stage) == {"INV-1": "8091"}
    told = await stage.said(facts.DocumentHeld)
    assert [each.code for each in told] == ["coupon_codes_differ"] * 2
    assert "coupon TEN was given by FAIR-1, MAIL-1," in told[0].sentence
    assert "coupon TEN was given by FAIR-1, no code," in told[1].sentence


async def test_the_row_of_a_line_says_which_of_two_codes_it_has(stage):
    await stage.hear(customer(), code("FAIR-1", "cs_fair"), code("MAIL-1", "cs_mail"))
    members = given("FAIR-1", "MAIL-1")
    members["discounts"][1]["line_item_id"] = members["lines"][0]["id"]
    await stage.hear(invoice(**members))
    assert await accounts(stage) == {"INV-1": "8092"}


async def test_a_document_that_does_not_say_how_its_coupon_was_given_is_not_guessed_about(stage):
    members = {**given(None), "discounts": []}
    await stage.hear(customer(), invoice(**members))
    assert await stage.reasons() == ["coupon_code_unread"]


async def test_a_coupon_that_is_used_without_a_code_needs_no_set(stage):
    await stage.hear(customer(), invoice(**given(None)))
    assert await accounts(stage) == {"INV-1": "8090"}


async def test_a_document_with_some_of_its_lines_waits_for_all_and_changes_nothing_that_is_booked(stage):
    whole: dict[str, Any] = {"lines": [line(10_000, 2_100), line(5_000, 1_050)]}
    part: dict[str, Any] = {"lines": [line(10_000, 2_100)], "line_items_next_offset": "more"}
    await stage.hear(customer(), invoice(version=1, **part))
    assert await stage.reasons() == ["incomplete_lines"]
    [held] = await stage.said(facts.DocumentHeld)
    assert held.waiting
    await stage.hear(invoice(version=2, **whole))
    [entry] = await stage.entries()
    assert sum(each.amount_minor for each in entry.lines) == 15_000
    await stage.hear(invoice(version=3, **part), invoice(version=4, **whole))
    assert await stage.reasons() == ["incomplete_lines"]
    assert len(await stage.entries()) == 1


def test_a_replay_hears_everything_that_ingest_says_of_chargebee():
    assert HEARD["ingest"] == {each.TYPE for each in FACTS if each.TYPE.startswith("chargebee.") and "observed" in each.TYPE}
