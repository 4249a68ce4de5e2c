"""A service as a process: it answers probes, drains when asked to stop, and says in one sentence why it cannot start."""

from __future__ import annotations

import pytest
from support.child import Child, child, free_port
from support.lines import eventually

pytestmark = pytest.mark.alone  # they time how long a process takes to stop
TRIAL = ("-m", "support.trial_service")


async def test_a_service_answers_probes_and_ends_with_zero_when_asked_to(tmp_path):
    async with child(*TRIAL, "finish", directory=tmp_path) as service:
        assert (await service.get("/live")).status_code == 200
        ready = await service.get("/ready")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})
        metrics = await service.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
        service.terminate()
        assert await service.ended() == 0


async def test_a_worker_that_fails_ends_the_process_for_the_supervisor_to_restart(tmp_path):
    async with child(*TRIAL, "fail", directory=tmp_path) as service:
        assert await service.ended() == 1
        assert "a defect in a worker" in service.said


async def test_a_worker_that_was_cancelled_before_anybody_asked_ends_the_process_too(tmp_path):
    async with child(*TRIAL, "cancelled", directory=tmp_path) as service:
        assert await service.ended() == 1
        assert "worker failed" in service.said


async def test_a_stopping_process_says_so_and_waits_no_longer_than_it_may(tmp_path):
    async with child(*TRIAL, "hang", directory=tmp_path, settings={"KRUISPOST_DRAIN_SECONDS": "3"}) as service:
        await service.get("/live")
        service.terminate()
        await eventually(lambda: _is_stopping(service))
        assert await service.ended() == 0
        assert "did not finish in time" in service.said


async def _is_stopping(service: Child) -> bool:
    ready = await service.get("/ready")
    return (ready.status_code, ready.json()["reasons"]) == (503, ["the process is stopping"])


async def test_without_a_broker_the_process_lives_and_says_what_is_missing(tmp_path):
    settings = {"KRUISPOST_AMQP_URL": f"amqp://guest:guest@127.0.0.1:{free_port()}/"}
    async with child(*TRIAL, "finish", directory=tmp_path, settings=settings) as service:
        assert (await service.get("/live")).status_code == 200
        ready = await service.get("/ready")
        assert ready.status_code == 503
        assert "RabbitMQ cannot be reached" in ready.json()["reasons"][0]
        service.terminate()
        assert await service.ended() == 0


async def test_a_process_that_waits_for_its_database_stops_when_asked(tmp_path):
    settings = {"KRUISPOST_DATABASE_URL": f"postgresql://nobody@127.0.0.1:{free_port()}/none"}
    async with child(*TRIAL, "finish", directory=tmp_path, settings=settings) as service:
        await service.says("waiting for the database", times=3)  # a signal before it listens to any would kill it
        service.terminate()
        assert await service.ended() == 0


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ("version: 1\nsites: {}\ndivision: {}\n", "did you mean divisions?"),
        ("version: 1\nversion: 1\n", "stands here twice"),
        ("version: [\n", "this is not YAML"),
    ],
)
async def test_an_unusable_configuration_is_one_sentence_and_exit_code_two(tmp_path, configuration, words):
    (tmp_path / "kruispost.yaml").write_text(configuration, encoding="utf-8")
    async with child(*TRIAL, "finish", directory=tmp_path) as service:
        assert await service.ended() == 2
        assert words in service.said
        assert "Traceback" not in service.said


async def test_a_taken_port_is_one_sentence_and_exit_code_two(tmp_path):
    async with child(*TRIAL, "finish", directory=tmp_path) as first:
        await first.get("/live")
        other = tmp_path / "other"
        other.mkdir()
        async with child(*TRIAL, "finish", directory=other, settings={"KRUISPOST_PORT": str(first.port)}) as second:
            assert await second.ended() == 2
            assert "Cannot listen" in second.said
            assert "Traceback" not in second.said
