"""Which entries ask for their PDF, by the policy of the division."""

from pathlib import Path

import pytest
from support.engines import database_for
from support.facts import customer, invoice, line
from support.mapper_stage import CONFIGURATION, Stage

from backbone.configuration import Configuration


def configuration(**pdf):
    known = CONFIGURATION.model_dump(mode="json")
    known["divisions"]["100001"] |= {"pdf": pdf, "changes": "correct"} if pdf else {"changes": "correct"}
    return Configuration.model_validate(known)


async def asked(tmp_path: Path, pdf, *messages):
    """Which bookings of INV-1 ask for their PDF, by suffix."""
    async with database_for("sqlite", tmp_path, "mapper") as database:
        stage = Stage(database, configuration(**pdf))
        for message in messages:
            await stage.hear(message)
            await stage.post_all()
        return {entry.document.suffix: entry.pdf for entry in await stage.entries()}


@pytest.mark.parametrize(
    ("policy", "company", "consumer"),
    [("always", True, True), ("business", True, False), ("on_demand", False, False), ("never", False, False)],
)
async def test_the_policy_says_whose_entries_get_their_pdf(tmp_path, policy, company, consumer):
    for name, buyer, wanted in (("a", customer(), company), ("b", customer(vat_number=None), consumer)):
        directory = tmp_path / name
        directory.mkdir()
        assert await asked(directory, {"policy": policy}, buyer, invoice()) == {"": wanted}


async def test_a_business_that_is_confirmed_to_have_no_vat_number_is_one_for_its_pdf_too(tmp_path):
    buyer = customer(vat_number=None, business_customer_without_vat_number=True)
    assert await asked(tmp_path, {"policy": "business"}, buyer, invoice()) == {"": True}


async def test_a_vat_number_that_was_found_invalid_makes_no_business(tmp_path):
    buyer = customer(vat_number_status="invalid")
    assert await asked(tmp_path, {"policy": "business"}, buyer, invoice()) == {"": False}


async def test_without_a_word_about_pdfs_none_is_attached_by_itself(tmp_path):
    assert await asked(tmp_path, {}, customer(), invoice()) == {"": False}


async def test_a_changed_invoice_booked_anew_gets_its_new_pdf_and_the_mirror_between_gets_none(tmp_path):
    changed = invoice(version=2, lines=[line(9_000, 1_890)])
    entries = await asked(tmp_path, {"policy": "always"}, customer(), invoice(), changed)
    first, mirror, second = entries.values()
    assert (first, mirror, second) == (True, False, True)
