"""`scripts/services.py` finds running servers, starts its own where it can, and ends only those."""

import asyncio
import os
import shutil

import asyncpg
import pytest

import services
import services_debian
from services_debian import CannotStartError, Started

INSTALLED = all(services_debian._programs(name) for name in ("postgres", "rabbitmq"))
needs_packages = pytest.mark.skipif(
    not INSTALLED,
    reason="the server packages of Debian are not installed; `make test` installs them as root",
)


def kind(name: str) -> services.Kind:
    return next(each for each in services.KINDS if each.name == name)


@needs_packages
@pytest.mark.slow
@pytest.mark.parametrize("name", ["postgres", "rabbitmq"])
async def test_a_server_of_our_own_takes_the_tests_login_and_ends_with_its_files(tmp_path, name):
    started = await asyncio.to_thread(services_debian.start, name, tmp_path, lambda _: None)
    try:
        assert await services.refusal(kind(name), started.url) is None
        if name == "postgres":
            connection = await asyncpg.connect(started.url)
            assert await connection.fetchval("show listen_addresses") == "127.0.0.1"
            await connection.close()
    finally:
        await asyncio.to_thread(services_debian.stop, started)
    assert await services.refusal(kind(name), started.url) is not None
    assert not list(tmp_path.iterdir())
    assert not any(services_debian._began(int(pid)) for pid in started.processes)


def test_a_process_that_only_inherited_the_number_is_left_alone():
    me = os.getpid()
    services_debian.stop(Started(how="cluster", url="", processes={str(me): "1"}))
    assert services_debian._began(me)


def test_an_address_that_was_given_and_does_not_answer_is_an_error_not_a_reason_to_start_another(monkeypatch):
    monkeypatch.setenv("KRUISPOST_TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:1/postgres")
    with pytest.raises(CannotStartError, match="KRUISPOST_TEST_DATABASE_URL"):
        services.obtain(kind("postgres"), {})


def test_a_machine_without_any_of_the_ways_gets_told_what_was_tried(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(services_debian, "_programs", lambda _: None)
    monkeypatch.setattr(services, "STATE", tmp_path / "state.json")
    with pytest.raises(CannotStartError) as told:
        services.bring_up(kind("rabbitmq"))
    assert "no Docker engine answers" in str(told.value)
    assert "no apt-get" in str(told.value)
