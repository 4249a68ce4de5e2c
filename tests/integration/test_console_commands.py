"""The command line as people start it: exit codes, and what goes to which output."""

import asyncio
import json
from datetime import date
from pathlib import Path

import msgspec
import pytest
from support.command_line import kruispost, kruispost_here
from support.console_stage import DOCUMENT, HELD, PLANNED, POSTED, Stage
from support.engines import DATABASES, settings_for
from support.facts import customer, invoice

from backbone.database import Database
from backbone.migrations import migrate
from bookkeeping.rejections import reject
from console.moves import Span, moves
from contracts import facts

DEMO = Path(__file__).parents[2] / "console/src/console/demo_configuration.yaml"
ODD = facts.DocumentHeld(
    document=DOCUMENT, code="no_revenue_account", sentence="No rule for [EUR] Team [/x] :smile:.", action="Add [one]."
)


async def run(place, *arguments):
    directory, settings = place
    return await asyncio.to_thread(kruispost_here, *arguments, directory=directory, settings=settings)


@pytest.fixture(params=DATABASES)
async def installation(request, tmp_path: Path):
    """Give a stage, and the place where the command line finds the same database."""
    async with settings_for(request.param, tmp_path / "data") as settings:
        database = Database.open(settings, "console")
        try:
            await migrate(database, "console")
            url = {} if settings.database_url is None else {"KRUISPOST_DATABASE_URL": settings.database_url}
            yield Stage(database), (tmp_path, url)
        finally:
            await database.close()


async def test_status_lists_what_is_held_word_for_word_and_says_so_by_its_exit_code(installation):
    stage, place = installation
    await stage.hear(invoice("INV-2"), invoice(), ODD)
    shown = await run(place, "status")
    assert (shown.returncode, shown.stderr) == (1, "")
    assert "No rule for [EUR] Team [/x] :smile:." in shown.stdout
    assert "Add [one]." in shown.stdout
    assert "EUR 121.00" in shown.stdout
    assert "INV-2" not in shown.stdout
    found = json.loads((await run(place, "status", "--json", "--state", "received")).stdout)
    assert found["states"] == {"held": 1, "received": 1}
    assert [row["number"] for row in found["documents"]] == ["INV-2"]


async def test_bad_debts_lists_when_the_vat_of_a_write_off_comes_back(installation):
    stage, place = installation
    reclaim = msgspec.structs.replace(
        DOCUMENT, kind="vat_reclaim", number="CN-1", total_minor=2_100, document_date=date(2090, 10, 5)
    )
    said = "VAT of write-off CN-1 is reclaimed on 2090-10-05: 21.00 EUR under code 2."
    held = facts.DocumentHeld(document=reclaim, code="vat_not_due", sentence=said, action="Nothing.", waiting=True)
    await stage.hear(msgspec.structs.replace(held, sentence_nl="21,00 komt terug op 2090-10-05."))
    shown = await run(place, "bad-debts")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "2090-10-05" in shown.stdout
    assert "21.00 EUR under code 2" in shown.stdout
    dutch = (await run((place[0], {**place[1], "COLUMNS": "200"}), "bad-debts", "--lang", "nl")).stdout
    assert "Btw van afgeboekte vorderingen" in dutch
    assert "21,00 komt terug op 2090-10-05." in dutch
    [listed] = json.loads((await run(place, "bad-debts", "--json")).stdout)["bad_debts"]
    assert (listed["number"], listed["state"], listed["reclaim_on"], listed["vat_minor"]) == ("CN-1", "open", "2090-10-05", 2_100)


async def test_moves_lists_what_is_reported_elsewhere_and_the_vat_that_missed_its_return(installation):
    stage, place = installation

    def moved(number: str, into: str, filed: str | None, vat: int) -> facts.DocumentPlanned:
        move = facts.PeriodMove(
            kind="entry",
            journal="70",
            from_period="2026-02",
            to_period=into,
            currency="EUR",
            decimals=2,
            amount_minor=10_000 + vat,
            vat=(facts.VatOfCode(code="2", amount_minor=vat),),
            filed_return=filed,
        )
        ref = msgspec.structs.replace(DOCUMENT, number=number)
        return msgspec.structs.replace(PLANNED, document=ref, command_id=f"{number}/{into}", moves=(move,))

    await stage.hear(moved("INV-1", "2026-03", None, 2_100))
    quiet = await run(place, "moves")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert "EUR 121.00" in quiet.stdout
    # March closes before the entry is posted: the document is planned anew, and only where it went at last counts.
    await stage.hear(moved("INV-1", "2026-04", "2026-Q1", 2_100), moved("INV-2", "2026-04", "2026-Q1", 1_050))
    found = await run(place, "moves", "--json", "--from", "2026-04")
    assert found.returncode == 1
    answer = json.loads(found.stdout)
    assert [(row["number"], row["to_period"]) for row in answer["moves"]] == [("INV-1", "2026-04"), ("INV-2", "2026-04")]
    [total] = answer["vat_after_filing"]
    assert (total["filed_return"], total["vat"], total["documents"]) == ("2026-Q1", {"2": 3_150}, 2)

    async def listed(division: int | None, first: str | None, last: str | None) -> list[str]:
        async with stage.database.reading() as connection:
            return [row["number"] for row in await moves(connection, Span(division=division, first=first, last=last))]

    assert await listed(None, None, "2026-03") == await listed(1, None, None) == []
    await stage.hear(msgspec.structs.replace(ODD, document=msgspec.structs.replace(DOCUMENT, number="INV-2")))
    assert await listed(100001, "2026-04", "2026-04") == ["INV-1"], "an entry that is held is reported nowhere"
    assert "VAT after filing: EUR 21.00" in (await run(place, "moves")).stdout
    assert "Btw na aangifte: EUR 21.00 van 1 documenten" in (await run(place, "moves", "--lang", "nl")).stdout


async def test_status_is_well_only_when_nothing_waits_for_a_person(installation):
    stage, place = installation
    await stage.hear(invoice(), PLANNED, POSTED)
    assert (await run(place, "status")).returncode == 0
    await stage.hear(facts.ConnectionChanged(division=100001, state="consent_needed", reason="the token ended"))
    shown = await run(place, "status")
    assert shown.returncode == 1
    assert "division 100001: consent_needed (the token ended)" in shown.stdout


async def test_holds_and_what_to_do_are_read_in_dutch(installation):
    stage, place = installation
    held = reject(
        "no_revenue_account", document="invoice INV-1", line="Team", entity_type="plan", condition="item: team", division=1
    )
    english_only = facts.DocumentHeld(document=DOCUMENT, code=held.code, sentence=held.sentence, action=held.action)
    told = msgspec.structs.replace(english_only, sentence_nl=held.sentence_nl, action_nl=held.action_nl)
    await stage.hear(
        invoice(),
        told,
        facts.PaymentNotRecorded(document=DOCUMENT, code="voided", sentence="Voided there.", sentence_nl="Daar vervallen."),
        facts.ConnectionChanged(division=100001, state="blocked", reason="Exact says no", reason_nl="Exact zegt nee"),
    )
    wide = (place[0], {**place[1], "COLUMNS": "400"})
    english, dutch, life = await asyncio.gather(
        run(wide, "status"), run(wide, "status", "--lang", "nl"), run(wide, "trace", "INV-1", "--lang", "nl")
    )
    assert "No revenue rule fits line 'Team'" in english.stdout
    assert "Geen omzetregel" not in english.stdout
    assert "Geen omzetregel past op regel 'Team'" in dutch.stdout
    assert "Daar vervallen." in dutch.stdout
    assert "(Exact says no)" in english.stdout
    assert "(Exact zegt nee)" in dutch.stdout
    assert 'Zet onder divisions.1.revenue: {when: {item: team}, account: "..."}' in dutch.stdout
    for word in ("Vastgehouden, en wat te doen", "factuur INV-1", "administratie 100001: geblokkeerd", "ontvangsten: 1 x"):
        assert word in dutch.stdout
    for word in ("Held", "waiting", "what to do", "reversals"):
        assert word not in dutch.stdout
    assert "Vastgehouden: Geen omzetregel past op regel 'Team'" in life.stdout
    assert "factuur INV-1: EUR 121.00, klant CUST1, vastgehouden" in life.stdout
    assert "De ontvangst is niet in Chargebee vastgelegd: Daar vervallen." in life.stdout


async def test_what_was_told_before_there_was_dutch_is_told_in_english(installation):
    stage, place = installation
    await stage.hear(invoice(), HELD)
    wide = (place[0], {**place[1], "COLUMNS": "400"})
    assert "No rule." in (await run(wide, "status", "--lang", "nl")).stdout
    assert "Vastgehouden: No rule. Wat te doen: Add one." in (await run(wide, "trace", "INV-1", "--lang", "nl")).stdout


async def test_trace_tells_a_life_in_both_languages(installation):
    stage, place = installation
    await stage.hear(customer(), invoice(), PLANNED, POSTED)
    english, dutch = await asyncio.gather(run(place, "trace", "INV-1"), run(place, "trace", "INV-1", "--lang", "nl"))
    assert (english.returncode, dutch.returncode) == (0, 0)
    assert english.stdout.splitlines() == [
        "invoice INV-1: EUR 121.00, customer CUST1, booked",
        "  2026-10-05 10:02:00 UTC  Chargebee showed it (test, status payment_due).",
        "  2026-10-05 10:03:00 UTC  An entry was made by mapping m for division 100001.",
        "      by rule",
        "  2026-10-05 10:04:00 UTC  Booked in Exact: entry 26700001 in journal 70.",
    ]
    assert "Geboekt in Exact: boekstuk 26700001 in dagboek 70." in dutch.stdout
    told = json.loads((await run(place, "trace", "INV-1", "--json")).stdout)
    assert told["documents"][0]["timeline"][-1]["time"] == "2026-10-05T10:04:00+00:00"
    unknown = await run(place, "trace", "INV-9")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "INV-9" in unknown.stderr


async def test_a_long_sentence_is_not_broken_where_a_search_would_miss_it(installation):
    stage, (directory, settings) = installation
    long = " ".join(["word"] * 60)
    await stage.hear(facts.DocumentHeld(document=DOCUMENT, code="no_revenue_account", sentence=long, action="Add one."))
    assert long in (await run((directory, {**settings, "COLUMNS": "80"}), "trace", "INV-1")).stdout


def test_a_filter_that_does_not_exist_is_refused(tmp_path: Path):
    refused = kruispost("status", "--state", "hold", directory=tmp_path)
    assert refused.returncode == 2
    assert "set_aside" in refused.stderr


@pytest.mark.parametrize("command", ["status", "migrate"])
@pytest.mark.postgres
async def test_a_database_that_does_not_exist_is_one_sentence(command, tmp_path: Path):
    async with settings_for("postgresql", tmp_path) as settings:
        gone = f"{settings.database_url}_gone"
        answer = await run((tmp_path, {"KRUISPOST_DATABASE_URL": gone}), command)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "does not exist" in answer.stderr
    assert "KRUISPOST_DATABASE_URL" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_migrate_makes_every_database_and_prints_only_json(tmp_path: Path):
    first, again = (kruispost_here("migrate", "--json", directory=tmp_path) for _ in range(2))
    assert (first.returncode, json.loads(first.stdout)) == (0, {"migrated": True})
    assert (again.returncode, json.loads(again.stdout)) == (0, {"migrated": True})
    made = {file.stem for file in (tmp_path / "data").glob("*.sqlite")}
    assert made == {"ingest", "mapper", "exact_writer", "payment_matcher", "console"}
    status = kruispost_here("status", "--json", directory=tmp_path)
    assert (status.returncode, json.loads(status.stdout)["documents"]) == (0, [])


def test_the_topology_has_a_queue_for_every_division(tmp_path: Path):
    settings = {"KRUISPOST_CONFIG": str(DEMO)}
    printed = kruispost_here("topology", "--json", directory=tmp_path, settings=settings)
    assert printed.returncode == 0
    assert "exact-writer.100001" in [queue["name"] for queue in json.loads(printed.stdout)["queues"]]
    shown = kruispost_here("topology", directory=tmp_path, settings=settings)
    assert (shown.returncode, "exact-writer.100001" in shown.stdout) == (0, True)
    without = kruispost_here("topology", directory=tmp_path)
    assert (without.returncode, without.stdout) == (2, "")
    assert "KRUISPOST_CONFIG" in without.stderr


def test_the_schema_is_json_and_knows_the_rules(tmp_path: Path):
    schema = kruispost_here("config-schema", directory=tmp_path)
    assert schema.returncode == 0
    assert "revenue" in json.loads(schema.stdout)["$defs"]["DivisionConfiguration"]["properties"]
