"""`kruispost doctor --probe` as a person gives it: asked first, not where books are kept, counted, and nothing left behind."""

import asyncio
import json
from pathlib import Path

from support.command_line import environment
from support.engines import settings_for
from support.exact_server import exact_server
from support.writer_stage import log_in, writer_environment
from typer.testing import CliRunner

from backbone.database import Database
from backbone.migrations import migrate
from console.cli import app

BOOKED, FREE = 100001, 100002  # the demo's configuration books in the first one
DEMO = Path(__file__).parents[2] / "console/src/console/demo_configuration.yaml"


async def test_a_trial_asks_first_spares_what_is_booked_in_and_tells_what_it_found(tmp_path: Path):
    (tmp_path / "kruispost.yaml").write_text(DEMO.read_text())
    async with exact_server(client_guid="honoured") as server:
        async with settings_for("sqlite", tmp_path / "data", **writer_environment(server.url)) as settings:
            database = Database.open(settings, "exact-writer")
            await migrate(database, "exact-writer")
            await log_in(server, settings, database)
        values = {f"KRUISPOST_{name.upper()}": str(value) for name, value in writer_environment(server.url).items()}

        async def doctor(*arguments: object, typed: str = ""):
            words = ["doctor", "--probe", *map(str, arguments)]
            return await asyncio.to_thread(CliRunner().invoke, app, words, input=typed, env=environment(tmp_path, values))

        refused = await doctor(BOOKED, "--agreed", BOOKED)
        assert "--even-if-booked" in str(refused.exception)
        assert "--agreed" in str((await doctor(FREE, "--json")).exception)
        unwilling = await doctor(FREE, "--lang", "nl", typed=f"{BOOKED}\n")
        assert unwilling.exit_code == 2
        assert "Er is niets geschreven." in unwilling.stdout
        assert "KRUISPOST-PROBE in dagboek" in unwilling.stdout
        assert server.simulator.traffic.writes == 0

        lock = await database.try_lock(str(FREE))
        assert lock is not None
        assert "acts in the division" in str((await doctor(FREE, "--agreed", FREE)).exception)
        await lock.release()
        await database.close()

        calls = server.simulator.traffic.total
        done = await doctor(FREE, typed=f"{FREE}\n")
        assert done.exit_code == 0, done.output
        assert "salesentry/SalesEntries: Exact keeps our key" in done.stdout
        assert f"{server.simulator.traffic.total - calls} calls were made, and all that was made has been deleted." in done.stdout
        assert await server.booked() == []

        insisted = await doctor(BOOKED, "--even-if-booked", "--agreed", BOOKED, "--json")
        told = json.loads(insisted.stdout)
        assert {each["outcome"] for each in told["trials"]} == {"honoured"}
        assert (insisted.exit_code, told["division"], told["left"]) == (0, BOOKED, [])
