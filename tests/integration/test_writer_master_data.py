"""A division's master data, asked of the running writer or read in its place, and `kruispost doctor` with it."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import yaml
from fastapi import FastAPI
from support.command_line import environment
from support.engines import settings_for
from support.exact_server import DIVISION, ExactServer, exact_server
from support.writer_stage import CONFIGURATION, log_in, sale, save_account, writer_environment, writer_stage
from typer.testing import CliRunner

from backbone.configuration_types import UNDECIDED
from backbone.database import Database
from backbone.migrations import migrate
from console.cli import app
from contracts import facts
from contracts.master_data import MasterData
from exact_writer.__main__ import look
from exact_writer.looking import LookError


async def ask(stage: Any, bearer: str = "admin", division: int = DIVISION) -> httpx.Response:
    site = FastAPI()
    site.include_router(stage.application.router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=site), base_url="http://writer") as client:
        return await client.get(f"/divisions/{division}/master-data", headers={"Authorization": f"Bearer {bearer}"})


async def test_a_running_writer_answers_between_its_calls_and_writes_nothing(tmp_path: Path):
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.EntryPosted)
        answer = await ask(stage)
        assert answer.status_code == 200
        data = msgspec.json.decode(answer.content, type=MasterData)
        codes = {each.code: each for each in data.vat_codes}
        assert (codes["2"].percentage, codes["2"].type) == (Decimal(21), "E")
        assert codes["DE"].oss_country == "DE"
        assert {each.code: each.type for each in data.journals}["90"] == 90
        assert next(each for each in data.ledgers if each.code == "1300").type == 20
        assert (data.currency, data.unreadable) == ("EUR", ())
        assert data.periods
        assert (await ask(stage, bearer="wrong")).status_code == 401
        assert (await ask(stage, division=1)).status_code == 404
        assert await server.booked() == ["INV-1"]


async def test_a_part_that_the_app_has_no_right_to_is_told_and_stops_nothing(tmp_path: Path):
    async with exact_server() as server, writer_stage(server, tmp_path) as stage:
        await stage.tell(save_account(), sale("INV-1"))
        await stage.until(facts.EntryPosted)
        await server.fault("status", status=403, path_contains="hrm/Costunits")
        data = msgspec.json.decode((await ask(stage)).content, type=MasterData)
        assert [each.part for each in data.unreadable] == ["cost_units"]
        await stage.tell(sale("INV-2"))
        await stage.until(facts.EntryPosted, 2)


async def test_the_package_is_told_and_what_the_app_may_not_use(tmp_path: Path):
    async with exact_server(missing_scopes=("Logistics items", "Organization documents")) as server:
        data = await read_in_its_place(server, tmp_path)
        calls = (await server.calls())["by_endpoint"]
    assert data.package == "EOL-PREMIUM"
    assert {each.part: each.endpoint for each in data.unreadable} == {
        "items": "logistics/Items",
        "documents": "documents/Documents",
    }
    assert all(endpoint.startswith("GET ") for endpoint in calls if not endpoint.endswith("token")), "it only reads"


async def read_in_its_place(server: ExactServer, directory: Path, *, logged_in: bool = True) -> MasterData:
    async with settings_for("sqlite", directory / "data", **writer_environment(server.url)) as settings:
        database = Database.open(settings, "exact-writer")
        try:
            await migrate(database, "exact-writer")
            if logged_in:
                await log_in(server, settings, database)
        finally:
            await database.close()
        return await look(settings, DIVISION)


async def test_without_a_writer_it_is_read_in_its_place(tmp_path: Path):
    async with exact_server() as server:
        assert (await read_in_its_place(server, tmp_path / "in")).journals
        with pytest.raises(LookError):
            await read_in_its_place(server, tmp_path / "out", logged_in=False)
        async with writer_stage(server, tmp_path / "busy") as stage:
            await stage.tell(save_account(), sale("INV-1"))
            await stage.until(facts.EntryPosted)
            with pytest.raises(LookError, match="acts in the division"):
                await look(stage.settings, DIVISION)


async def test_the_doctor_names_what_does_not_fit_with_its_line(tmp_path: Path):
    async with exact_server() as server:
        await read_in_its_place(server, tmp_path)
        data = CONFIGURATION.model_dump(mode="json", exclude_none=True, exclude_unset=True)
        data["divisions"] = {DIVISION: {**data["divisions"][str(DIVISION)], "vat": [{"when": {"rate": 21}, "code": "4"}]}}
        text = yaml.safe_dump(data, sort_keys=False)
        (tmp_path / "kruispost.yaml").write_text(text)
        values = {f"KRUISPOST_{name.upper()}": str(value) for name, value in writer_environment(server.url).items()}
        shown = await run(tmp_path, {**values, "KRUISPOST_PORT": "9"}, "--live")
        (finding,) = [each for each in shown if each["code"] == "vat_code_inclusive"]
        line = next(number for number, words in enumerate(text.splitlines(), 1) if "code: '4'" in words)
        assert finding["subject"] == f"{tmp_path / 'kruispost.yaml'}:{line} divisions.{DIVISION}.vat[0].code"
        assert finding["advice"].startswith("write an exclusive one (type E): 2 ")


async def run(directory: Path, settings: dict[str, str], *arguments: str) -> list[dict[str, Any]]:
    arguments_ = ["doctor", "--json", *arguments]
    done = await asyncio.to_thread(CliRunner().invoke, app, arguments_, env=environment(directory, settings))
    found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    return found


async def test_a_first_mapping_is_proposed_for_a_division_that_no_file_names_yet(tmp_path: Path):
    async with exact_server() as server:
        await read_in_its_place(server, tmp_path)
        values = {f"KRUISPOST_{name.upper()}": str(value) for name, value in writer_environment(server.url).items()}
        settings = environment(tmp_path, {**values, "KRUISPOST_PORT": "9"})
        done = await asyncio.to_thread(CliRunner().invoke, app, ["doctor", "--propose", str(DIVISION)], env=settings)
        assert done.exit_code == 0, done.output
        assert f"  {DIVISION}:" in done.stdout
        assert "1300 Debiteuren" in next(line for line in done.stdout.splitlines() if "receivable_account" in line)
        assert '{ when: { country: NL, rate: 21 }, code: "2" }' in done.stdout
        assert UNDECIDED in done.stdout
