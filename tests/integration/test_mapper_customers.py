"""Which customer goes to Exact, and when: links, refusals, and customers that were merged, deleted or made anonymous."""

from pathlib import Path
from typing import Any

import pytest
from support.engines import DATABASES, database_for
from support.facts import customer, invoice
from support.mapper_stage import CONFIGURATION, Stage

from backbone.configuration import Configuration
from contracts import commands, facts

DIVISION = 100001


def configured(**customers: Any) -> Configuration:
    """The test's configuration with a section `customers`."""
    known = CONFIGURATION.model_dump(mode="json")
    known["divisions"][str(DIVISION)]["customers"] = customers
    return Configuration.model_validate(known)


@pytest.fixture(params=DATABASES)
async def stage(request, tmp_path: Path):
    async with database_for(request.param, tmp_path, "mapper") as database:
        yield Stage(database)


@pytest.fixture
async def quick_stage(tmp_path: Path):
    async with database_for("sqlite", tmp_path, "mapper") as database:
        yield Stage(database)


def ambiguous(customer_id: str = "CUST1") -> facts.AccountRefused:
    """Several accounts of Exact fit."""
    return facts.AccountRefused(
        division=DIVISION,
        customer_ref=f"acme-test/{customer_id}",
        code="customer_ambiguous",
        message="2 accounts in Exact have the e-mail address x: 1042 Een B.V.; 1043 Twee B.V.",
    )


async def test_an_ambiguous_customer_is_held_with_the_answer_to_give_and_the_answer_is_sent(stage):
    await stage.hear(customer(), invoice(), ambiguous())
    [held] = await stage.said(facts.DocumentHeld)
    assert held.code == "customer_ambiguous"
    assert "1042 Een B.V." in held.sentence
    assert f'divisions.{DIVISION}.customers.links: {{"CUST1": "..."}}' in held.action
    again = Stage(stage.database, configured(links={"CUST1": "1042"}))
    await again.start()
    sent = await again.said(commands.SaveAccount)
    assert [command.account_code for command in sent] == [None, "1042"]
    # The same file at the next start says nothing new.
    saved = facts.AccountSaved(division=DIVISION, customer_ref="acme-test/CUST1", account_id="a", created=False)
    await again.hear(saved)
    await again.start()
    assert len(await again.said(commands.SaveAccount)) == 2


async def test_a_refused_customer_is_tried_again_at_a_start(quick_stage):
    await quick_stage.hear(customer(), invoice(), ambiguous())
    await quick_stage.start()
    first, second = await quick_stage.said(commands.SaveAccount)
    assert first == second


async def test_a_link_can_name_the_site(quick_stage):
    linked = Stage(quick_stage.database, configured(links={"acme-test/CUST1": "7", "other/CUST2": "8"}))
    await linked.hear(customer(), customer("CUST2"), invoice(), invoice("INV-2", customer_id="CUST2"))
    sent = {command.customer_ref: command.account_code for command in await linked.said(commands.SaveAccount)}
    assert sent == {"acme-test/CUST1": "7", "acme-test/CUST2": None}


async def test_a_locale_is_sent_only_as_the_language_it_is_mapped_to(quick_stage):
    mapped = Stage(quick_stage.database, configured(languages={"nl": "NL", "fr-BE": "FR-BE"}))
    for number, locale in enumerate(("nl-BE", "fr-BE", "fr", None)):
        await mapped.hear(customer(f"C{number}", locale=locale), invoice(f"INV-{number}", customer_id=f"C{number}"))
    assert [command.language for command in await mapped.said(commands.SaveAccount)] == ["NL", "FR-BE", None, None]


@pytest.mark.parametrize("gone", [{"deleted": True}, {"pii_cleared": "cleared", "company": None, "email": None}])
async def test_a_customer_that_was_deleted_or_made_anonymous_stays_in_exact_as_it_was(quick_stage, gone):
    await quick_stage.hear(customer(), invoice())
    await quick_stage.hear(customer(version=2, vat_number=None, billing_address=None, **gone))
    assert [command.name for command in await quick_stage.said(commands.SaveAccount)] == ["Voorbeeld B.V."]
