"""`kruispost dead-letters` and `kruispost requeue`, on both brokers."""

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command_line import environment, kruispost_here
from support.engines import AMQP_URL, BROKERS
from support.facts import envelope, invoice
from support.lines import Notebook, eventually
from support.mapper_stage import CONFIGURATION
from typer.testing import CliRunner

from backbone.broker import Broker, Outgoing
from backbone.broker_rabbitmq import remove_prefixed
from backbone.errors import Permanent
from backbone.process import open_broker
from backbone.settings import Settings
from console.cli import app
from contracts.envelope import encode
from contracts.topology import CONSOLE_QUEUE, FACTS_EXCHANGE, fact_routing_key, topology

DIVISIONS = CONFIGURATION.divisions


class Place:
    """A broker, and the command line beside it."""

    def __init__(self, broker: Broker, directory: Path, settings: dict[str, str]) -> None:
        self.broker, self._directory, self._settings = broker, directory, settings

    async def run(self, *arguments: str) -> tuple[int, Any]:
        surroundings = environment(self._directory, self._settings)
        done = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"], env=surroundings)
        return done.exit_code, json.loads(done.stdout)


@pytest.fixture(params=BROKERS)
async def place(request, tmp_path: Path):
    (tmp_path / "kruispost.yaml").write_text(yaml.safe_dump(CONFIGURATION.model_dump(mode="json", exclude_unset=True)))
    more: dict[str, Any] = {}
    if request.param == "rabbitmq":
        more = {"amqp_url": AMQP_URL, "amqp_prefix": f"kp_test_{secrets.token_hex(6)}."}
    broker = open_broker(Settings(data_dir=tmp_path / "data", **more), "test")
    await broker.declare(topology(DIVISIONS))
    yield Place(broker, tmp_path, {f"KRUISPOST_{name.upper()}": value for name, value in more.items()})
    await broker.close()
    if more:
        await remove_prefixed(AMQP_URL, more["amqp_prefix"], topology(DIVISIONS))


async def test_a_dead_letter_is_shown_with_its_document_and_put_back(place):
    sealed = envelope(invoice())
    notebook = Notebook(lambda _: Permanent("no_such_thing", "It cannot be told."))
    queue = topology(DIVISIONS).queue(CONSOLE_QUEUE)
    consumer = await place.broker.consume(queue, notebook)
    key = fact_routing_key(sealed.type, sealed.key)
    await place.broker.publish(FACTS_EXCHANGE, [Outgoing(key, encode(sealed), sealed.id)])

    async def buried() -> bool:
        return bool(await place.broker.depth(queue.dead_letters))

    await eventually(buried)
    await consumer.close()
    status, told = await place.run("dead-letters", "--queue", CONSOLE_QUEUE)
    (letter,) = told["dead_letters"]
    assert (status, letter["message_id"], letter["type"]) == (1, sealed.id, "chargebee.invoice.observed")
    assert (letter["subject"], letter["code"], letter["sentence"]) == (sealed.subject, "no_such_thing", "It cannot be told.")
    await eventually(buried)
    assert await place.run("requeue", "never-seen") == (1, {"requeued": []})
    await eventually(buried)
    assert await place.run("requeue", sealed.id) == (0, {"requeued": [sealed.id]})
    assert (await place.run("dead-letters", "--queue", CONSOLE_QUEUE)) == (0, {"dead_letters": []})
    assert await place.broker.depth(CONSOLE_QUEUE) == 1


@pytest.mark.timeout(30)
@pytest.mark.parametrize("words", [("dead-letters",), ("requeue", "--all"), ("republish", "all")], ids=" ".join)
def test_a_command_does_not_wait_for_a_rabbitmq_that_is_away(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "kruispost.yaml").write_text(yaml.safe_dump(CONFIGURATION.model_dump(mode="json", exclude_unset=True)))
    done = kruispost_here(*words, directory=tmp_path, settings={"KRUISPOST_AMQP_URL": "amqp://guest:guest@127.0.0.1:9/"})
    assert done.returncode not in {0, 1}, "1 says something of what was found"
    assert done.stderr.startswith("RabbitMQ cannot be reached: ")
    assert "Traceback" not in done.stderr
