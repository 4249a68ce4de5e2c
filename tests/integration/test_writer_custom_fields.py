"""Exact's own custom fields of accounts: written once for each value, beside the bookings and never in their way."""

from __future__ import annotations

import asyncio
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.child import child
from support.engines import DATABASES, settings_for
from support.exact_server import DIVISION, ExactServer, exact_server
from support.writer_stage import (
    WriterStage,
    configuration,
    environment_of,
    prepare,
    sale,
    save_account,
    until_posted,
    writer_environment,
    writer_stage,
)

from backbone.database import Database
from backbone.settings import Settings
from console.doctor import Look, examine
from contracts import facts
from exact_writer import tables
from exact_writer.outlook import outlook_of
from simulators.exact import custom_fields, master_data
from simulators.exact.settings import CustomField

SEGMENT, TEAM = CustomField("Account", "Segment", 10), CustomField("Account", "Team")
POST = "POST customfield/UpdateCustomField"
EMAIL = "administratie@voorbeeld.example"


def wanting(**more: Any) -> Any:
    return configuration(customers={"custom_fields": {"Segment": "cf_segment"}, **more})


def in_exact(server: ExactServer) -> dict[str, str]:
    """The values that stand in Exact, by `account name/field`."""
    division = server.simulator.world.divisions[DIVISION]
    accounts = division.table("crm/Accounts")
    found = {}
    for row in division.table(custom_fields.VALUES):
        account = accounts.get(row["LinkId"])
        assert account is not None
        found[f"{account['Name']}/{row['PropertyName']}"] = row["Value"]
    return found


async def until_shown(server: ExactServer, wanted: dict[str, str]) -> None:
    async with asyncio.timeout(30):
        while in_exact(server) != wanted:  # noqa: ASYNC110 - asked of the stand-in
            await asyncio.sleep(0.02)


async def until_noted(stage: WriterStage, state: str, count: int = 1) -> list[str]:
    """Wait until so many fields have a state and a reason, and return the reasons."""
    table = tables.custom_fields
    async with asyncio.timeout(30):
        while True:
            async with stage.database.reading() as connection:
                rows = await connection.execute(sa.select(table.c.reason).where(table.c.state == state, table.c.reason != ""))
                found = [row.reason for row in rows]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


async def until_nothing_waits(stage: WriterStage) -> None:
    async with asyncio.timeout(30):
        while await waiting(stage):  # noqa: ASYNC110 - asked of the database
            await asyncio.sleep(0.02)


async def waiting(stage: WriterStage) -> float:
    """How many calls the forecast expects for them."""
    async with stage.database.reading() as connection:
        ahead = await outlook_of(connection, DIVISION, 0.0, poll_seconds=30, lists=True, with_pdfs=True)
    return ahead.waiting["pdf"]


async def made(server: ExactServer) -> int:
    found: int = (await server.calls())["by_endpoint"].get(POST, 0)
    return found


@pytest.mark.parametrize("dialect", DATABASES)
async def test_a_value_is_written_once_and_again_only_when_it_changes(tmp_path: Path, dialect: str) -> None:
    async with (
        exact_server(custom_fields=(SEGMENT, TEAM)) as server,
        writer_stage(server, tmp_path, dialect, configuration=wanting()) as stage,
    ):
        await stage.tell(save_account(custom_fields={"Segment": "Retail"}), save_account("CUST2"), sale("INV-1"))
        await until_shown(server, {"Klant CUST1/Segment": "Retail"})
        await stage.tell(save_account(fingerprint="2", phone="020 1234567", custom_fields={"Segment": "Retail"}))
        await stage.until(facts.AccountSaved, 3)
        await until_nothing_waits(stage)
        assert await made(server) == 1
        # Emptied in Chargebee: Exact takes no empty value, so what stands there stays.
        await stage.tell(save_account(fingerprint="3"), save_account(fingerprint="4", custom_fields={"Segment": "Food"}))
        await until_shown(server, {"Klant CUST1/Segment": "Food"})
        assert await made(server) == 2
        assert (await server.calls())["by_endpoint"]["GET customfield/CustomFields"] == 1, "names are asked for once"
        assert await server.booked() == ["INV-1"]


async def test_an_account_that_was_there_gets_them_too(tmp_path: Path) -> None:
    async with exact_server(custom_fields=(SEGMENT,)) as server:
        master_data.create_account(
            server.simulator.world.divisions[DIVISION], {"Name": "Bestaand B.V.", "Status": "C", "Email": EMAIL}
        )
        async with writer_stage(server, tmp_path, configuration=wanting()) as stage:
            await stage.tell(save_account(email=EMAIL, custom_fields={"Segment": "Retail"}))
            await until_shown(server, {"Bestaand B.V./Segment": "Retail"})


@pytest.mark.parametrize("fault", ["lose_answer", "html_502", "html_502_after"])
async def test_a_lost_answer_is_sent_again_and_the_newest_value_stays(tmp_path: Path, fault: str) -> None:
    async with (
        exact_server(custom_fields=(SEGMENT,)) as server,
        writer_stage(server, tmp_path, configuration=wanting(), exact_timeout_seconds=1.0) as stage,
    ):
        await server.fault(fault, method="POST", path_contains="UpdateCustomField")
        await stage.tell(save_account(custom_fields={"Segment": "Retail"}), sale("INV-1"))
        await stage.until(facts.EntryPosted)
        await stage.tell(save_account(fingerprint="2", custom_fields={"Segment": "Food"}))
        await stage.until(facts.AccountSaved, 2)
        await until_shown(server, {"Klant CUST1/Segment": "Food"})
        assert await server.booked() == ["INV-1"]


@pytest.mark.parametrize("switch", ["forbidden", "not_found"])
async def test_an_edition_without_custom_fields_is_told_once_and_bookings_go_on(
    tmp_path: Path, switch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = wanting(custom_field_component="Account")
    async with (
        exact_server(without_custom_fields=switch) as server,
        writer_stage(server, tmp_path, configuration=chosen) as stage,
    ):
        both = [save_account(each, custom_fields={"Segment": "Retail"}) for each in ("CUST1", "CUST2")]
        await stage.tell(*both)
        (reason,) = await until_noted(stage, "waiting")
        await stage.tell(sale("INV-1"))
        await stage.until(facts.EntryPosted)
        assert await stage.complaints() == []
        assert await waiting(stage) == 2
        assert await made(server) == 1, "what Exact counts as an error is not tried for each account"
    assert "its edition Premium" in reason
    told = await examined(tmp_path, chosen, monkeypatch)
    assert told == {f"custom field Segment of division {DIVISION}": f"accounts without it: 1. {reason}"}


async def test_what_exact_does_not_take_is_told_with_its_words_and_waits_for_another_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        exact_server(custom_fields=(SEGMENT,)) as server,
        writer_stage(server, tmp_path, configuration=wanting()) as stage,
    ):
        await stage.tell(save_account(custom_fields={"Segment": "Groothandel"}), sale("INV-1"))
        assert await until_noted(stage, "refused") == ["Exact does not take the value: Te lang: Vrij veld"]
        (dutch,) = (await examined(tmp_path, wanting(), monkeypatch, "nl")).values()
        assert dutch == "relaties zonder: 1. Exact neemt de waarde niet aan: Te lang: Vrij veld"
        await stage.tell(save_account(fingerprint="2", custom_fields={"Segment": "Food"}))
        await until_shown(server, {"Klant CUST1/Segment": "Food"})
    assert await examined(tmp_path, wanting(), monkeypatch) == {"custom fields in Exact": "Exact took every value so far"}


async def test_a_field_that_exact_does_not_show_is_told_with_those_it_shows(tmp_path: Path) -> None:
    async with (
        exact_server(custom_fields=(TEAM,)) as server,
        writer_stage(server, tmp_path, configuration=wanting()) as stage,
    ):
        both = [save_account(each, custom_fields={"Segment": "Retail"}) for each in ("CUST1", "CUST2")]
        await stage.tell(*both)
        reasons = await until_noted(stage, "waiting", 2)
        assert all("no custom field of this name with accounts, but Team;" in each for each in reasons)
        assert await made(server) == 0
    async with exact_server(custom_fields=(TEAM, SEGMENT)) as server:  # somebody made it meanwhile, and restarts

        async def known(database: Database, _: Settings) -> None:
            await forget_accounts(database, server)

        async with writer_stage(server, tmp_path, configuration=wanting(), before=known):
            await until_shown(server, {"Klant CUST1/Segment": "Retail", "Klant CUST2/Segment": "Retail"})


async def forget_accounts(database: Database, server: ExactServer) -> None:
    """Let the new stand-in have the accounts of the old one, under their ids."""
    async with database.reading() as connection:
        rows = (await connection.execute(sa.select(tables.custom_fields.c.account_id))).all()
    division = server.simulator.world.divisions[DIVISION]
    for number, row in enumerate(rows, 1):
        master_data.create_account(division, {"ID": uuid.UUID(row.account_id), "Name": f"Klant CUST{number}", "Status": "C"})


async def test_where_exact_shows_a_field_only_with_a_value_the_mapping_names_its_component(tmp_path: Path) -> None:
    async with exact_server(custom_fields=(SEGMENT,), unset_custom_fields="left_out") as server:
        async with writer_stage(server, tmp_path / "one", configuration=wanting()) as stage:
            await stage.tell(save_account(custom_fields={"Segment": "Retail"}))
            (reason,) = await until_noted(stage, "waiting")
            assert reason.endswith("write custom_field_component.")
        named = wanting(custom_field_component="Account")
        async with writer_stage(server, tmp_path / "other", configuration=named) as stage:
            await stage.tell(save_account("CUST2", custom_fields={"Segment": "Retail"}))
            await until_shown(server, {"Klant CUST2/Segment": "Retail"})


@pytest.mark.slow
async def test_killed_before_the_call_the_value_stands_in_the_end(tmp_path: Path) -> None:
    values = {"Segment": "Retail"}
    async with (
        exact_server(custom_fields=(SEGMENT,)) as server,
        settings_for("sqlite", tmp_path / "data", **writer_environment(server.url)) as settings,
    ):
        await prepare(server, settings, [save_account(custom_fields=values), sale("INV-1")])
        environment = environment_of(settings, tmp_path)
        (tmp_path / "kruispost.yaml").write_text(wanting().model_dump_json(exclude_defaults=True), encoding="utf-8")
        crash = {**environment, "KRUISPOST_CRASH_AT": "exact_writer.custom_field_noted"}
        async with child("-m", "exact_writer", directory=tmp_path, settings=crash) as first:
            assert await first.ended() == -signal.SIGKILL, first.said
        async with child("-m", "exact_writer", directory=tmp_path, settings=environment) as second:
            await until_shown(server, {"Klant CUST1/Segment": "Retail"})
            await until_posted(settings, 1)
            second.terminate()
            await second.ended()
        assert await server.booked() == ["INV-1"]


async def examined(directory: Path, chosen: Any, monkeypatch: pytest.MonkeyPatch, lang: Any = "en") -> dict[str, str]:
    """What `kruispost doctor` says of custom fields."""
    path = directory / "kruispost.yaml"
    path.write_text(chosen.model_dump_json(exclude_defaults=True), encoding="utf-8")
    for name, value in {"CONFIG": path, "DATA_DIR": directory}.items():
        monkeypatch.setenv(f"KRUISPOST_{name}", str(value))
    findings = await examine(Look(live=False, lang=lang))
    return {each.subject: each.sentence for each in findings if "custom field" in each.subject}
