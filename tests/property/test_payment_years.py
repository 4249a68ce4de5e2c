"""Random years of payments through the real connector: no cent is lost, doubled or without a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.payment_books import Bookkeeper, Laws
from support.payment_world import World, payment_world
from support.payment_years import Year

YEARS = 3
STEPS = 3  # a customer's events, most of a month apart
ROUNDS = 2  # until the bookkeeper has matched, and what followed from it


async def live(world: World, years: list[Year], bookkeeper: Bookkeeper) -> None:
    """Let the years happen; people decide about some of the inbox, and do what they are told to."""
    for _ in range(STEPS):
        for year in years:
            await year.step()
        heard = len(world.said)
        await world.settle()
        bookkeeper.delete_what_was_taken_back(world.said[heard:])
        for year in years:
            await year.look_at_inbox()
        world.pass_days(25)
    await world.settle()
    # A gateway pays out what was known of a charge when it was taken, not what failed since.
    await world.tell([payout for year in years if (payout := year.payout()) is not None])


async def close(world: World, years: list[Year], bookkeeper: Bookkeeper) -> None:
    """Match in Exact what Exact cannot match by itself, as both books say."""
    for _ in range(ROUNDS):
        heard = len(world.said)
        world.pass_days(2)
        await world.settle()
        bookkeeper.take_own_matches_back()
        await bookkeeper.take_back_what_was_told()
        for year in years:
            await bookkeeper.match(year)
        await world.settle()
        bookkeeper.delete_what_was_taken_back(world.said[heard:])
    await world.settle()


@pytest.mark.parametrize(("first", "settings"), [(0, {}), (100, {"payments": "daily"})], ids=["each", "daily"])
async def test_every_cent_of_a_year_has_one_place_in_both_books(first: int, settings: dict[str, Any], tmp_path: Path) -> None:
    async with payment_world(tmp_path, **settings) as world:
        years = [Year(first + seed, world) for seed in range(YEARS)]
        bookkeeper = Bookkeeper(world)
        await live(world, years, bookkeeper)
        await close(world, years, bookkeeper)
        laws = Laws(bookkeeper)
        wrong = [each for year in years for each in laws.documents(year)]
        wrong += [*await laws.receipts(years), *await laws.gateway(years), *laws.tolerance(years), *laws.currencies(years)]
        assert not wrong, "\n".join(wrong)
