"""`kruispost plan` and `kruispost diff` on what a mapper keeps: nothing runs, nothing is written."""

import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.command_line import kruispost
from support.deadly_commits import killed_at_each_commit
from support.engines import DATABASES
from support.facts import OCTOBER_5, customer, invoice, line, observed
from support.installation import installation
from support.mapper_stage import CONFIGURATION, Stage, payment, period, posted, refused

from backbone.configuration import load_configuration
from contracts import commands, facts
from mapper.wording import untranslated

# 2026-10-20, 12:00 in Amsterdam
VOIDED_AT = 1_792_490_400
DEMO = Path(__file__).parents[2] / "console/src/console/demo_configuration.yaml"


@pytest.fixture(params=DATABASES)
async def installed(request, tmp_path: Path):
    async with installation(request.param, tmp_path) as found:
        yield found


TEAM_ELSEWHERE = [{"when": {"item_price": "Team-EUR"}, "account": "8060"}]


async def test_the_plan_is_the_journal_of_what_is_under_way_and_the_reason_of_what_is_held(installed):
    unmapped = invoice("INV-2", lines=[line(5_000, 1_050, entity="Old-EUR", kind="plan")])
    await installed.stage.hear(customer(), invoice(), payment(), unmapped)
    done = await installed.run("plan")
    assert (done.returncode, done.stderr) == (1, "")
    assert "invoice INV-1, under way: journal 70 of division 100001, dated 2026-10-05" in done.stdout
    assert "invoice INV-2, held: No revenue rule fits" in done.stdout
    assert 'what to do: Add under divisions.100001.revenue: {when: {item_price: Old-EUR}, account: "..."}' in done.stdout
    code, found = await installed.json("plan", "--number", "INV-1")
    assert code == 0
    (planned,) = found["documents"]
    assert [(each["account"], each["debit_minor"], each["credit_minor"]) for each in planned["postings"]] == [
        ("1300", 12_100, 0),
        ("8000", 0, 10_000),
        ("VAT 2", 0, 2_100),
    ]
    assert found["totals"]["calls"] == 1
    _, all_together = await installed.json("plan", "--limit", "1")
    assert (all_together["found"], len(all_together["documents"])) == (3, 1)
    sums = {each["account"]: (each["debit_minor"], each["credit_minor"]) for each in all_together["totals"]["accounts"]}
    assert sums == {"1300": (12_100, 12_100), "8000": (0, 10_000), "VAT 2": (0, 2_100), "1290": (12_100, 0)}


async def test_the_plan_of_what_is_held_is_what_the_present_mapping_books_and_counts_the_new_customer(installed):
    await installed.stage.hear(customer(), invoice(lines=[line(10_000, 2_100, entity="New-EUR", kind="plan")]))
    revenue = [{"when": {"item_price": "New-EUR"}, "account": "8060"}]
    installed.write(installed.directory / "kruispost.yaml", revenue=revenue)
    code, found = await installed.json("plan")
    assert (code, found["totals"]["entries"], found["totals"]["calls"]) == (0, 1, 2)
    assert "8060" in {each["account"] for each in found["totals"]["accounts"]}
    assert found["totals"]["lines"] == {"100001": 2}
    installed.write(installed.directory / "kruispost.yaml", revenue=revenue, licence={"lines_a_month": 1})
    done = await installed.run("plan")
    assert "WARNING: the entries for division 100001 have 2 lines, and its licence takes 1 a month" in done.stdout
    assert await installed.stage.entries() == []


async def test_dutch_is_spoken(installed):
    unmapped = invoice("INV-2", lines=[line(1_000, 210, entity="Old-EUR", kind="plan")])
    await installed.stage.hear(customer(), invoice(), unmapped)
    done = await installed.run("plan", "--lang", "nl")
    assert "factuur INV-1, onderweg: dagboek 70 van administratie 100001" in done.stdout
    why = "Geen omzetregel past op regel 'Old-EUR' (plan Old-EUR) van factuur INV-2."
    way = 'wat te doen: Zet onder divisions.100001.revenue: {when: {item_price: Old-EUR}, account: "..."}'
    assert f"factuur INV-2, vastgehouden: {why}" in done.stdout
    assert "btw 2" in done.stdout
    assert "VAT" not in done.stdout
    assert way in done.stdout
    explained = await installed.run("explain", "INV-2", "--lang", "nl")
    assert why in explained.stdout
    assert way in explained.stdout


async def test_the_same_mapping_differs_in_nothing(installed):
    await installed.stage.hear(customer(), invoice(), payment())
    code, found = await installed.json("diff", str(installed.directory / "kruispost.yaml"))
    assert (code, found["looked_at"], found["differing"], found["documents"]) == (0, 2, 0, [])


async def test_the_difference_is_told_by_account_for_what_is_booked_and_what_is_not(installed):
    held = invoice("INV-3", lines=[line(1_000, 210, entity="Old-EUR", kind="plan")])
    await installed.stage.hear(customer(), period(10, is_open=False), period(11, is_open=True), invoice(), held)
    await installed.stage.post_all()
    rules = [*TEAM_ELSEWHERE, {"when": {"item_price": "Old-EUR"}, "account": "8000"}]
    new = installed.write(installed.directory / "new.yaml", revenue=rules)
    list_to = installed.directory / "list.jsonl"
    code, found = await installed.json("diff", str(new), "--list-to", str(list_to))
    assert code == 1
    assert found["changes"] == {"newly_booked": 1, "account": 1, "dimension": 1}
    assert (found["booked_differing"], found["in_closed_periods"]) == (1, 2)
    places = {(each["part"], each["name"]): (each["before_minor"], each["after_minor"]) for each in found["places"]}
    assert places["account", "8000"] == (-10_000, -1_000)
    assert places["account", "8060"] == (0, -10_000)
    assert places["vat", "2"] == (0, -210)
    assert places["dimension", "NL"] == (-10_000, 0)
    assert [json.loads(text)["number"] for text in list_to.read_text().splitlines()] == ["INV-1", "INV-3"]
    _, chosen = await installed.json("diff", str(new), "--change", "newly_booked")
    assert [each["number"] for each in chosen["documents"]] == ["INV-3"]
    _, by_account = await installed.json("diff", str(new), "--account", "8060")
    assert [each["number"] for each in by_account["documents"]] == ["INV-1"]


async def test_another_policy_of_closed_periods_is_told_because_no_difference_shows_it(installed):
    await installed.stage.hear(customer(), period(10, is_open=False), period(11, is_open=True), invoice())
    new = installed.write(installed.directory / "new.yaml", period_policy="hold")
    code, found = await installed.json("diff", str(new))
    assert (code, found["differing"], found["periods_not_compared"]) == (0, 0, [100001])
    told = (await installed.run("diff", str(new), "--lang", "nl")).stdout.splitlines()
    assert told[-1].startswith("Wat administratie 100001 met gesloten perioden doet is anders:")
    _, same = await installed.json("diff", str(installed.directory / "kruispost.yaml"))
    assert same["periods_not_compared"] == []


async def test_a_custom_field_that_nothing_ever_had_is_named_beside_the_difference(installed):
    await installed.stage.hear_with(customer(), cf_project="Delft")
    await installed.stage.hear(invoice())
    rules = [{"when": {"field": {"name": name, "value": "Delft"}}, "account": "8060"} for name in ("cf_project", "cf_projekt")]
    for rule, codes in zip(rules, ([], ["unseen_field"]), strict=True):
        new = installed.write(installed.directory / "new.yaml", revenue=[rule])
        assert [each["code"] for each in (await installed.json("diff", str(new)))[1]["unseen"]] == codes


async def test_a_product_that_chargebee_never_showed_is_named_beside_the_difference(installed):
    await installed.stage.hear(customer(), observed(facts.ItemPriceObserved, {"id": "Team-EUR", "item_id": "Team"}), invoice())
    new = installed.write(installed.directory / "new.yaml", revenue=[{"when": {"item_price": "Taem-EUR"}, "account": "8060"}])
    told = (await installed.run("diff", str(new))).stdout.splitlines()[-1]
    assert re.match(r".*new\.yaml:\d+: divisions\.100001\.revenue\[0\]\.when\.item_price: .* did you mean Team-EUR\?", told)
    _, found = await installed.json("diff", str(new))
    assert [each["code"] for each in found["unseen"]] == ["unseen_item_price"]
    _, same = await installed.json("diff", str(installed.directory / "kruispost.yaml"))
    assert [each["path"] for each in same["unseen"]] == []


async def test_the_difference_is_told_by_box_of_the_vat_return(installed):
    boxes = {"2": "1a", "1": "1b", "EUV": "3b"}
    installed.write(installed.directory / "kruispost.yaml", vat_boxes=boxes)
    await installed.stage.hear(customer(), invoice())
    vat = [{"when": {"country": "NL", "rate": 21}, "code": "1"}]
    new = installed.write(installed.directory / "new.yaml", vat=vat, vat_boxes=boxes)
    done = await installed.run("diff", str(new))
    assert "VAT in box of the VAT return" in done.stdout
    code, found = await installed.json("diff", str(new))
    places = {(each["part"], each["name"]): (each["before_minor"], each["after_minor"]) for each in found["places"]}
    assert code == 1
    assert places["vat_box", "1a"] == (-2_100, 0)
    assert places["vat_box_base", "1b"] == (0, -10_000)
    installed.write(new, vat=vat, vat_boxes={"2": "1a"})
    refused_ = await installed.run("diff", str(new))
    assert refused_.returncode == 2
    assert "VAT code 1 has no box; add it under vat_boxes" in refused_.stderr


async def test_what_differs_beside_the_accounts_is_told_with_what_it_was_and_becomes(installed):
    served: dict[str, Any] = {"date_from": OCTOBER_5, "date_to": OCTOBER_5 + 31 * 86_400}
    await installed.stage.hear(customer(), invoice(lines=[line(10_000, 2_100, **served)]), payment())
    revenue = [{"when": {"item_price": "Team-EUR"}, "account": "8000", "cost_center": "NL", "defer": True}]
    journals = {"invoices": "71", "credit_notes": "71", "payments": "90"}
    changed = {"journals": journals, "mode": "document", "language": "nl", "revenue": revenue, "payments": "daily"}
    new = installed.write(installed.directory / "new.yaml", **changed)
    done = await installed.run("diff", str(new))
    assert "booked as: entry -> document\n  journal: 70 -> 71\n  description: Invoice INV-1 -> Factuur INV-1" in done.stdout
    assert "revenue at once: 100.00 -> 0.00\n  revenue released over 2026-10-05..2026-11-04: 0.00 -> 100.00" in done.stdout
    assert "payment txn_1, 2026-10-05, booked: booked in another way in Exact" in done.stdout
    assert "booked as: entry -> daily" in done.stdout
    _, found = await installed.json("diff", str(new), "--number", "INV-1")
    assert found["documents"][0]["particulars"][1] == {"name": "journal", "before": "70", "after": "71"}
    in_dutch = await installed.run("diff", str(new), "--lang", "nl")
    assert "dagboek: 70 -> 71" in in_dutch.stdout


async def test_what_a_new_mapping_would_hold_is_told_with_the_rule_to_add(installed):
    await installed.stage.hear(customer(), invoice())
    new = installed.write(installed.directory / "new.yaml", vat=[{"when": {"country": "NL", "rate": 9}, "code": "1"}])
    done = await installed.run("diff", str(new))
    assert done.returncode == 1
    assert "no_vat_code" in done.stdout
    assert 'Add under divisions.100001.vat: {when: {country: NL, rate: 21, reason: none}, code: "..."}' in done.stdout
    code, found = await installed.json("diff", str(new), "--from", "2026-10-06")
    assert (code, found["differing"]) == (0, 0)


async def test_what_was_booked_by_an_older_mapping_shows_against_the_present_one(installed):
    await installed.stage.hear(customer(), invoice(), payment())
    present = installed.write(installed.directory / "kruispost.yaml", revenue=TEAM_ELSEWHERE)
    assert (await installed.json("diff", str(present)))[0] == 0
    code, found = await installed.json("diff", str(present), "--against", "booked")
    assert (code, [each["number"] for each in found["documents"]]) == (1, ["INV-1"])


async def test_what_cannot_be_compared_is_one_sentence_and_exit_code_2(installed):
    (installed.directory / "new.yaml").write_text("version: 2")
    done = await installed.run("diff", str(installed.directory / "new.yaml"))
    assert done.returncode == 2
    assert "new.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_an_installation_the_commands_say_so_and_make_nothing(tmp_path):
    (tmp_path / "kruispost.yaml").write_text(DEMO.read_text())
    for arguments in (("plan",), ("diff", str(tmp_path / "kruispost.yaml"))):
        done = kruispost(*arguments, directory=tmp_path)
        assert done.returncode == 2
        assert "There is no installation here" in done.stderr
    assert not (tmp_path / "data").exists()


def test_the_help_lists_what_services_bring_without_what_they_need_to_answer(tmp_path):
    done = kruispost("--help", directory=tmp_path, settings={"PYTHONPROFILEIMPORTTIME": "1"})
    assert {"plan", "diff", "status"} <= set(done.stdout.replace("\u2502", " ").split())
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "console.cli" in imported
    assert not {"fastapi", "uvicorn", "aio_pika", "alembic"} & imported, "each takes a tenth of a second or more"
    code = "import sys, mapper.commands; sys.exit(1 if {'sqlalchemy', 'bookkeeping'} & sys.modules.keys() else 0)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_word_is_there_in_both_languages():
    assert untranslated() == []


async def test_a_booked_document_is_explained_by_the_rules_that_booked_it_and_where_they_stand(installed):
    # Tax is 21.00 and 5.26 on the lines, 26.25 on the document: the line that is furthest above its 21% gives the cent up.
    lines = [line(10_000, 2_100), line(2_505, 526, entity="Old-EUR", kind="plan")]
    rules = [*CONFIGURATION.model_dump(mode="json", exclude_unset=True)["divisions"]["100001"]["revenue"]]
    rules.append({"when": {"item_price": "Old-EUR"}, "account": "8020", "defer": True})
    installed.write(installed.directory / "kruispost.yaml", revenue=rules)
    stage = Stage(installed.stage.database, load_configuration(installed.directory / "kruispost.yaml"))
    await stage.hear(customer(), invoice(lines=lines, tax=2_625, total=15_130))
    code, found = await installed.json("explain", "INV-1")
    assert code == 0
    (explained,) = found["documents"]
    assert (explained["state"], explained["is_present_mapping"], explained["would_change"]) == ("planned", True, [])
    first, second = explained["lines"]
    assert (first["account"], first["net_minor"], first["vat_minor"], first["moved_minor"]) == ("8000", 10_000, 2_099, -1)
    assert (second["account"], second["vat_minor"], second["moved_minor"]) == ("8020", 526, 0)
    text = (installed.directory / "kruispost.yaml").read_text().splitlines()
    assert second["revenue_place"]["path"] == "divisions.100001.revenue[2]"
    assert "account: '8020'" in text[second["revenue_place"]["line"] - 1]
    assert first["vat_rule"] == "country: NL, rate: 21"


async def test_what_an_older_mapping_booked_is_told_with_what_today_s_would_change(installed):
    await installed.stage.hear(customer(), invoice())
    await installed.stage.post_all()
    installed.write(installed.directory / "kruispost.yaml", revenue=TEAM_ELSEWHERE)
    code, found = await installed.json("explain", "INV-1")
    (explained,) = found["documents"]
    assert (code, explained["state"], explained["is_present_mapping"]) == (0, "booked", False)
    assert explained["would_change"] == ["account", "dimension"]
    assert explained["lines"][0]["revenue_place"] is None
    assert explained["lines"][0]["account"] == "8000"


async def test_a_held_document_is_explained_by_the_rule_that_is_missing(installed):
    await installed.stage.hear(customer(), invoice(lines=[line(10_000, 2_100, entity="Old-EUR", kind="plan")]))
    code, found = await installed.json("explain", "INV-1")
    assert (code, found["documents"][0]["code"]) == (1, "no_revenue_account")
    assert "item_price: Old-EUR" in found["documents"][0]["action"]
    assert await installed.json("explain", "INV-404", "--site", "acme-test") == (1, {"documents": []})


async def test_a_payment_is_explained_in_dutch(installed):
    await installed.stage.hear(customer(), invoice(), payment())
    done = await installed.run("explain", "txn_1", "--lang", "nl")
    assert done.returncode == 0
    assert "betaling txn_1 van 2026-10-05, EUR -121.00, klant CUST1: onderweg" in done.stdout
    assert "1290" in done.stdout


async def test_a_refused_document_is_sent_again_when_a_person_says_so(installed):
    await installed.stage.hear(customer(), invoice(), invoice("INV-2"))
    first, second = await installed.stage.entries()
    await installed.stage.hear(refused(first, "other"), posted(second))
    told = await installed.run("explain", "INV-1", "--lang", "nl")
    assert "Exact weigerde factuur INV-1: Exact says no" in told.stdout
    assert "op rekening" in told.stdout, "with the entry that was refused"
    code, found = await installed.json("retry", "INV-1")
    assert (code, [(each["number"], each["state"]) for each in found["documents"]]) == (0, [("INV-1", "planned")])
    *_, again = await installed.stage.entries()
    assert again.command_id != first.command_id
    assert again.lines == first.lines
    assert (first.is_asked, again.is_asked) == (False, True), "a person waits for it"
    assert await installed.json("retry", "INV-1") == (1, {"documents": []}), "it is under way already"
    await installed.stage.hear(refused(again, "other"))
    assert await killed_at_each_commit(lambda: installed.json("retry", "--code", "exact_refused")) > 1
    assert [each.is_asked for each in await installed.stage.entries()][3:] == [False], "all of a reason may be many"


async def test_a_reversal_that_is_held_is_shown_with_its_sentence_and_not_with_a_code(installed):
    await installed.stage.hear(customer(), invoice())
    await installed.stage.post_all()
    await installed.stage.hear(period(10, is_open=False, known_until=date(2026, 10, 31)))
    await installed.stage.hear(invoice(version=2, status="voided", voided_at=VOIDED_AT))
    for command in (("plan",), ("explain", "INV-1")):
        done = await installed.run(*command, "--lang", "nl")
        assert "periode 2026-10 van dagboek 70 is gesloten, en van geen latere is bekend dat ze open is." in done.stdout
        assert "Open een periode in Exact, of zet period_policy op move" in done.stdout


async def test_what_is_still_unmapped_stays_held_and_a_booked_document_is_left_alone(installed):
    await installed.stage.hear(customer(), invoice(), invoice("INV-2", lines=[line(5_000, 1_050, entity="Old-EUR", kind="plan")]))
    await installed.stage.post_all()
    done = await installed.run("retry", "INV-2")
    assert (done.returncode, done.stdout) == (1, "invoice INV-2: still held (no_revenue_account)\n")
    assert await installed.json("retry", "INV-1") == (1, {"documents": []})
    assert len(await installed.stage.entries()) == 1


@pytest.mark.parametrize(("refusal", "reason"), [("other", "customer_refused"), ("account_blocked", "account_blocked")])
async def test_a_refused_customer_is_sent_again_once_for_all_documents_that_wait_for_it(installed, refusal: str, reason: str):
    await installed.stage.hear(customer(), invoice(), invoice("INV-2"))
    (saved,) = await installed.stage.said(commands.SaveAccount)
    told = {"division": saved.division, "customer_ref": saved.customer_ref, "code": refusal, "message": "Exact says no"}
    await installed.stage.hear(facts.AccountRefused(**told))
    code, found = await installed.json("retry", "--code", reason)
    assert (code, len(found["documents"])) == (0, 2)
    assert len(await installed.stage.said(commands.SaveAccount)) == 2


@pytest.mark.parametrize("of_what", ["invoice", "withheld tax"])
async def test_an_explanation_has_the_sign_that_the_booking_was_told_with_also_where_it_takes_back(installed, of_what):
    """`trace` and `status` show what was told; a reversal of 121.00 is 121.00 less there, and so it is here."""
    installed.write(installed.directory / "kruispost.yaml", withheld_taxes={"account": "1530"})
    stage = Stage(installed.stage.database, load_configuration(installed.directory / "kruispost.yaml"))
    tax: dict[str, Any] = {"linked_taxes_withheld": [{"id": "tax_wh_1", "amount": 1_000, "date": OCTOBER_5}]}
    first: dict[str, Any]
    then: dict[str, Any]
    first, then = (tax, {}) if of_what == "withheld tax" else ({}, {"status": "voided", "voided_at": VOIDED_AT})
    await stage.hear(customer(), invoice(**first), invoice(version=2, **then))
    await stage.post_all()
    number = "tax_wh_1" if of_what == "withheld tax" else "INV-1"
    told = {each.document.suffix: each.document.total_minor for each in await stage.entries() if each.document.number == number}
    _, found = await installed.json("explain", number)
    assert {each["suffix"]: each["total_minor"] for each in found["documents"]} == told
    assert told[""] == -told["R"] != 0
